// What must hold of every page, at each width, in each language and theme. Gives what does not, and the letters of the page.

const WIDTHS = [360, 420, 1280], LANGUAGES = ['en', 'ja'], THEMES = ['light', 'dark'];

const frames = () => new Promise(done => setTimeout(done, 20));

/** The part of a box that must be free of others: a pixel at its border may be shared. */
function box(element) {
  const r = element.getBoundingClientRect();
  return { left: r.left + 1, right: r.right - 1, top: r.top + 2, bottom: r.bottom - 2, element };
}

function meet(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

const seen = element => element.getClientRects().length > 0;
const said = element => JSON.stringify(element.textContent.trim().slice(0, 40));

/** Labels of a figure that touch another, or leave the picture. */
function labels(svg, tell) {
  const title = svg.querySelector('title')?.textContent ?? '';
  // Marks are points of data, which may lie on each other.
  const texts = [...svg.querySelectorAll('text:not(.mark)')].filter(t => t.textContent.trim() && seen(t));
  const upright = texts.filter(t => !t.hasAttribute('transform')).map(box);
  const frame = svg.getBoundingClientRect();
  for (const [at, a] of upright.entries()) {
    if (a.left < frame.left - 2 || a.right > frame.right + 2 || a.top < frame.top - 3 || a.bottom > frame.bottom + 3)
      tell(`${title}: ${said(a.element)} leaves the picture`);
    for (const b of upright.slice(at + 1))
      if (meet(a, b)) tell(`${title}: ${said(a.element)} touches ${said(b.element)}`);
  }
  return texts;
}

function rgb(color) {
  return color.match(/[\d.]+/g).slice(0, 3).map(Number);
}

/** The ratio of WCAG 2. */
function contrast(a, b) {
  const light = color => {
    const [r, g, b] = rgb(color).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/** Colours in code that stand out too little. */
function unreadable(page, window) {
  const style = element => window.getComputedStyle(element);
  const told = new Map();
  for (const code of page.querySelectorAll('.code'))
    for (const piece of code.querySelectorAll('pre, pre span'))
      if (contrast(drawn(style(piece).color), drawn(style(code).backgroundColor)) < 4.5) told.set(piece.className, said(piece));
  return [...told].map(([kind, text]) => `code, ${kind}: ${text} can hardly be read`);
}

/** A mixed colour as it is drawn. */
const colors = new Map();
function drawn(color) {
  if (!colors.has(color)) {
    const pen = document.createElement('canvas').getContext('2d');
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    colors.set(color, `rgb(${[...pen.getImageData(0, 0, 1, 1).data].slice(0, 3)})`);
  }
  return colors.get(color);
}

async function look(frame, name) {
  const window = frame.contentWindow, page = window.document, root = page.documentElement;
  const problems = new Set(window.problems.map(p => 'console: ' + p));
  for (const details of page.querySelectorAll('details')) details.open = true;
  for (const theme of THEMES) {
    root.dataset.theme = theme;
    for (const language of LANGUAGES) {
      root.dataset.language = root.lang = language;
      for (const width of WIDTHS) {
        frame.style.width = width + 'px';
        await frames();
        const at = `${theme} ${language} ${width}: `;
        if (root.scrollWidth > root.clientWidth) {
          const wide = [...page.body.querySelectorAll('*')]
            .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll, svg, math, pre'));
          const what = wide.slice(-1).map(e => e.tagName + '.' + e.className + ' ' + said(e)).join();
          problems.add(at + `the page is ${root.scrollWidth} wide: ${what}`);
        }
        const other = [...page.querySelectorAll(language === 'en' ? '.ja' : '.en')].find(seen);
        if (other) problems.add(`${language}: the other language is shown: ${said(other)}`);
        // Figures shrink as a whole: what touches, touches at every width.
        if (width !== 1280) continue;
        for (const piece of unreadable(page, window)) problems.add(`${theme}: ${piece}`);
        // With room for two columns, figures are seen as a whole.
        for (const figure of page.querySelectorAll('.figures .scroll'))
          if (figure.scrollWidth > figure.clientWidth + 1) problems.add(`${language}: ${said(figure)} is cut off`);
        for (const svg of page.querySelectorAll('svg.figure')) {
          if (!seen(svg)) continue;
          const texts = labels(svg, what => problems.add(`${language}: ${what}`));
          const paper = window.getComputedStyle(page.body).backgroundColor;
          for (const text of texts) {
            const fill = drawn(window.getComputedStyle(text).fill);
            if (contrast(fill, paper) < 3) problems.add(`${theme}: ${said(text)} is ${fill} on ${paper}`);
          }
        }
      }
    }
  }
  for (const p of window.problems) problems.add('console: ' + p);
  for (const lost of missing(page, window)) problems.add('no glyph for ' + lost);
  return [...problems];
}

/** Letters that no font of the page has: they look like one that is none. */
function missing(page, window) {
  const canvas = page.createElement('canvas');
  canvas.width = canvas.height = 32;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  pen.font = '20px ' + window.getComputedStyle(page.body).fontFamily;
  const shape = letter => {
    pen.clearRect(0, 0, 32, 32);
    pen.fillText(letter, 4, 24);
    return pen.getImageData(0, 0, 32, 32).data.join();
  };
  // A machine without any Japanese font says nothing of pages.
  const japanese = /[\u3000-\u9fff\uff00-\uffef]/;
  const none = ['\u0378', '\u{10fffd}', '\ue000'].map(shape);
  const letters = new Set(page.body.textContent.replace(/[\s\u200b-\u200f\u2060-\u2064]/gu, ''));
  const poor = none.includes(drawn('日')) && none.includes(drawn('の'));
  return [...letters].filter(letter => !(poor && japanese.test(letter))).filter(letter => /[^\p{M}\p{C}]/u.test(letter) && none.includes(shape(letter)));
}
