/* SPDX-License-Identifier: Apache-2.0. Contains Preact, (c) Jason Miller, MIT licence. */
"use strict";(()=>{var e=localStorage.getItem("emqttd.theme");(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e);})();
