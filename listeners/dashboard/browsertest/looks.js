// SPDX-License-Identifier: Apache-2.0

// What a person who sees little, or has no mouse, needs of a page, measured on
// what the browser has computed. Evaluates to {contrast, focus}, which list what
// is wrong, a line each.
(() => {
  const dot = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const known = new Map()
  // rgba is any CSS colour as four numbers, alpha 0 to 1.
  const rgba = (css) => {
    if (!known.has(css)) {
      dot.clearRect(0, 0, 1, 1)
      dot.fillStyle = css
      dot.fillRect(0, 0, 1, 1)
      const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data
      known.set(css, [r, g, b, a / 255])
    }
    return known.get(css)
  }
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1]
  // luminance and ratio are those of WCAG 2.2.
  const channel = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (light + 0.05) / (dark + 0.05)
  }
  // behind is the colour behind an element's text: its own background and those
  // of all around it, down to the first that hides the rest.
  const behind = (element) => {
    const layers = []
    for (let e = element; e; e = e.parentElement) {
      const layer = rgba(getComputedStyle(e).backgroundColor)
      layers.push(layer)
      if (layer[3] === 1) break
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1])
  }
  const opacity = (element) => {
    let o = 1
    for (let e = element; e; e = e.parentElement) o *= Number(getComputedStyle(e).opacity)
    return o
  }
  const shown = (e) => {
    const box = e.getBoundingClientRect()
    return box.width > 1 && box.height > 1 && e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  }
  const name = (e) => `${e.tagName.toLowerCase()}${e.className && typeof e.className === 'string' ? '.' + e.className.trim().replace(/\s+/g, '.') : ''}`

  const contrast = new Set()
  const judge = (e, css, text, what = '') => {
    const back = behind(e)
    const [r, g, b, a] = rgba(css.color)
    const is = ratio(over([r, g, b, a * opacity(e)], back), back)
    const size = parseFloat(css.fontSize)
    const least = size >= 24 || (size >= 18.66 && Number(css.fontWeight) >= 700) ? 3 : 4.5
    if (is < least) contrast.add(`${is.toFixed(2)} < ${least}: ${name(e)}${what} "${text.trim().slice(0, 40)}" in ${name(e.parentElement)}`)
  }
  const inactive = (e) => e.closest(':disabled, [aria-disabled=true]') // of which nothing is asked [WCAG 1.4.3]
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || !shown(e) || inactive(e) || e.closest('select, textarea')) continue
    judge(e, getComputedStyle(e), texts.currentNode.data)
  }
  for (const e of document.body.querySelectorAll('*')) {
    if (!shown(e) || inactive(e)) continue
    for (const part of ['::before', '::after']) {
      const css = getComputedStyle(e, part)
      if (/[\p{L}\p{N}]/u.test(css.content) && css.content !== 'none' && css.content !== 'normal') judge(e, css, css.content, part)
    }
    if (!e.matches('input:not([type=checkbox], [type=radio]), select, textarea')) continue
    judge(e, getComputedStyle(e), e.value || e.tagName)
    if (e.placeholder) judge(e, getComputedStyle(e, '::placeholder'), e.placeholder, '::placeholder')
  }
  // What a button without words shows is a graphic [WCAG 1.4.11].
  for (const e of document.querySelectorAll('button svg')) {
    if (!shown(e) || inactive(e) || e.closest('button').innerText.trim()) continue
    const back = behind(e)
    const is = ratio(over(rgba(getComputedStyle(e).color), back), back)
    if (is < 3) contrast.add(`${is.toFixed(2)} < 3: icon of ${e.closest('button').getAttribute('aria-label')}`)
  }

  // The ring is drawn outside an element, so what is around it is its background.
  const focus = []
  const before = document.activeElement
  const dialog = [...document.querySelectorAll('dialog[open]')].pop() // what is around it takes no focus
  for (const e of (dialog ?? document).querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')) {
    if (e.tabIndex < 0 || e.disabled || !shown(e)) continue
    e.focus({ preventScroll: true })
    const css = getComputedStyle(e)
    const line = css.outlineStyle !== 'none' && parseFloat(css.outlineWidth) >= 2
    const around = behind(parseFloat(css.outlineOffset) < 0 ? e : e.parentElement)
    const is = ratio(over(rgba(css.outlineColor), around), around)
    const label = `${name(e)} "${(e.innerText || e.getAttribute('aria-label') || '').trim().slice(0, 40)}"`
    if (document.activeElement !== e) focus.push(label + ' does not take the focus')
    else if (!line) focus.push(label + ' shows no focus')
    else if (is < 3) focus.push(`${label} shows a focus of ${is.toFixed(2)}, which is less than 3`)
  }
  before?.focus({ preventScroll: true })
  return { contrast: [...contrast], focus: [...new Set(focus)] }
})()
