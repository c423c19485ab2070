"""What the tests of the built book ask a page: scripts that run in it, in any browser, and return what would bother a reader."""

# Waits until what has changed is shown, in the fonts that it asks for.
TWO_FRAMES = """
async () => {
  await document.fonts.ready;
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))));
}
"""

# Waits for MathJax, then reads the page. Formulas: Sphinx marks each with class "math"; MathJax puts a container in it.
READ_PAGE = r"""
async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const article = document.querySelector("article") || document.body;
  const seen = [...article.querySelectorAll(".math")]
    .filter(e => !e.closest("mjx-container, [aria-hidden=true], [role=presentation]"));
  const unrendered = seen.filter(e => !e.querySelector("mjx-container")).map(e => e.textContent.slice(0, 60));
  for (const e of document.querySelectorAll("mjx-merror, [data-mjx-error]")) {
    const holder = e.closest("mjx-container");
    unrendered.push("error: " + (e.getAttribute("data-mjx-error") || holder && holder.textContent || e.textContent).slice(0, 80));
  }
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data;
    if (/\$\$|\\\(|\\\[|\\begin\{/.test(text) && !walker.currentNode.parentElement.closest("pre, code, script, style, textarea, mjx-container"))
      unrendered.push("raw: " + text.trim().slice(0, 60));
  }
  const pictures = [...document.querySelectorAll("img, svg[role=img], canvas")]
    .filter(e => !e.closest("mjx-container, [aria-hidden=true], [role=presentation]"));
  const named = e => ["alt", "aria-label", "aria-labelledby"].map(name => e.getAttribute(name) || "").join("").trim() || e.querySelector("title");
  const nameless = pictures.filter(e => !named(e));
  return {
    formulas: article.querySelectorAll("mjx-container").length,
    unrendered,
    pictures: pictures.length,
    nameless: nameless.map(e => e.outerHTML.slice(0, 90)),
    broken: [...document.images].filter(e => e.complete && !e.naturalWidth && e.getAttribute("src")).map(e => e.getAttribute("src").slice(0, 90)),
  };
}
"""

# Whatever reaches past the right edge of the window and cannot be scrolled inside a box of its own.
READ_OVERFLOW = r"""
() => {
  const width = document.documentElement.clientWidth, wide = [];
  if (document.documentElement.scrollWidth > width) wide.push(`the page itself: ${document.documentElement.scrollWidth} px`);
  for (const e of document.querySelectorAll("article *")) {
    const box = e.getBoundingClientRect();
    if (box.right <= width + 1 || box.width < 2 || box.height < 2) continue;
    if (e.closest("svg") && e.tagName !== "svg" || e.closest("mjx-assistive-mml")) continue;
    let inside = false;
    for (let p = e.parentElement; p && p.tagName !== "ARTICLE"; p = p.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(p).overflowX) && p.getBoundingClientRect().right <= width + 1) { inside = true; break; }
    }
    if (!inside) wide.push(`${e.tagName.toLowerCase()}.${e.className}: ${Math.round(box.right)} px`.slice(0, 90));
  }
  return wide.slice(0, 5);
}
"""

# Tables and formulas that a reader has to push sideways to see whole: all that scrolls in a box of its own, but for code.
READ_SIDEWAYS = r"""
() => [...document.querySelectorAll("article *")]
  .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX) && !e.closest("pre"))
  .map(e => `${e.scrollWidth - e.clientWidth} px: ${e.textContent.trim().replace(/\s+/g, " ").slice(0, 60)}`)
"""

# WCAG contrast of each visible piece of text against the first opaque background behind it.
READ_CONTRAST = r"""
theme => {
  document.documentElement.dataset.theme = document.documentElement.dataset.mode = theme;
  const parse = c => { const n = (c.match(/[\d.]+/g) || []).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const backs = new Map([[null, [255, 255, 255]]]);  // behind each element; null behind a picture
  const behind = e => {
    if (backs.has(e)) return backs.get(e);
    const style = getComputedStyle(e), colour = parse(style.backgroundColor);
    const back = style.backgroundImage !== "none" ? null : colour[3] > 0.95 ? colour : behind(e.parentElement);
    backs.set(e, back);
    return back;
  };
  const faint = new Set(), article = document.querySelector("article") || document.body;
  const passed = "svg, script, style, mjx-container, .headerlink, button, [aria-hidden=true], option, noscript";
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT,
    node => node.nodeType === 1 ? node.matches(passed) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP : NodeFilter.FILTER_ACCEPT);
  let pieces = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const back = behind(e), ink = parse(getComputedStyle(e).color);
    if (!back || ink[3] < 0.95) continue;
    const [a, b] = [light(back), light(ink)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    pieces += 1;
    if (ratio < 4.5) faint.add(`${ratio.toFixed(1)} ${e.tagName.toLowerCase()}.${e.className} in ${e.parentElement.className}: ${walker.currentNode.data.trim().slice(0, 30)}`);
  }
  return { pieces, faint: [...faint].slice(0, 8) };
}
"""

# Whether each figure is drawn into the page, numbered, captioned and described, and how small its smallest text is: at the present width.
READ_FIGURES = r"""
least => {
  const figures = [...document.querySelectorAll("article svg.figure")], seen = new Set();
  const bare = [], numbers = [], small = [], repeated = [];
  for (const svg of figures) {
    const name = svg.getAttribute("aria-label") || "", caption = svg.closest("figure")?.querySelector("figcaption");
    const number = caption?.querySelector(".caption-number")?.textContent.trim() || "";
    const text = caption?.querySelector(".caption-text")?.textContent.trim() || "";
    numbers.push(number);
    if (!/^Fig\. \d+\.\d+$/.test(number) || !text || !caption.checkVisibility() || !name || svg.getAttribute("role") !== "img")
      bare.push(`${number || "no number"}: ${name.slice(0, 40) || "no alt text"}`);
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    for (const e of svg.querySelectorAll("text, tspan")) {
      const size = parseFloat(getComputedStyle(e).fontSize) * scale;
      if (e.textContent.trim() && size < least) { small.push(`${number} ${size.toFixed(1)} px: ${e.textContent.slice(0, 30)}`); break; }
    }
  }
  for (const e of document.querySelectorAll("[id]")) seen.has(e.id) ? repeated.push(e.id) : seen.add(e.id);
  const loose = [...document.querySelectorAll("article .cell_output img")].filter(e => !e.closest(".attn-explorer")).map(e => e.src.slice(0, 60));
  return { figures: figures.length, bare, numbers, small, repeated, loose };
}
"""

# In the present theme: text of figures that does not stand out from the page, unless it lies on a picture or another filled shape.
READ_INK = r"""
() => {
  const light = colour => (colour.match(/[\d.]+/g) || []).slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = light(getComputedStyle(document.documentElement).getPropertyValue("--pst-color-background").trim()
    .replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3").replace(/^#(..)(..)(..)$/, (_, ...rgb) => rgb.slice(0, 3).map(x => parseInt(x, 16)).join(" ")));
  const faint = [];
  for (const svg of document.querySelectorAll("article svg.figure")) {
    const filled = [...svg.querySelectorAll("image, path, use, rect")].filter(e => e.tagName === "image" || getComputedStyle(e).fill !== "none" || e.href)
      .map(e => e.getBoundingClientRect());
    for (const e of svg.querySelectorAll("text")) {
      const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
      if (!box.width || filled.some(f => f.width > 4 && f.left <= x && x <= f.right && f.top <= y && y <= f.bottom)) continue;
      const [a, b] = [page, light(getComputedStyle(e.querySelector("tspan") || e).fill)].sort((p, q) => q - p), ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) faint.push(`${ratio.toFixed(1)}: ${e.textContent.slice(0, 30)}`);
    }
  }
  return faint;
}
"""

# In the dark theme: whatever lies on the page as a bright card.
READ_CARDS = r"""
() => {
  const bright = colour => { const n = (colour.match(/[\d.]+/g) || []).map(Number); return n.length > 2 && (n[3] ?? 1) > 0.3 && Math.min(...n.slice(0, 3)) > 160; };
  const cards = [], look = root => {
    for (const e of root.querySelectorAll("*")) {
      if (e.shadowRoot) look(e.shadowRoot);
      const box = e.getBoundingClientRect(), svg = e.ownerSVGElement, style = getComputedStyle(e);
      if (box.width < 40 || box.height < 16) continue;
      const whole = svg && svg.getBoundingClientRect();
      if (svg ? /path|rect/.test(e.tagName) && bright(style.fill) && box.width * box.height > 0.5 * whole.width * whole.height : bright(style.backgroundColor))
        cards.push(`${e.tagName.toLowerCase()}.${e.getAttribute("class")} ${svg ? style.fill : style.backgroundColor}`);
    }
  };
  look(document.querySelector("article") || document.body);
  return cards.slice(0, 8);
}
"""
