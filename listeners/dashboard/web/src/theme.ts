// SPDX-License-Identifier: Apache-2.0

// Runs before the first paint, so that a page set to dark never flashes white.
// It is a file of its own because the content security policy allows no inline
// script.
export {}

const chosen = localStorage.getItem('emqttd.theme')
if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
