// What the things of a page compute for these values, and whether moving each control changes their pictures.

async function look(frame, name) {
  const window = frame.contentWindow, page = window.document;
  const things = [...page.querySelectorAll('[data-play]')];
  const all = [];
  for (const thing of things) {
    const stage = thing.querySelector('.stage');
    const drawn = () => stage.innerHTML;
    const still = [], unreachable = [];
    for (const input of thing.querySelectorAll('input, select')) {
      input.focus();
      if (page.activeElement !== input) unreachable.push(input.name);
      if (!input.labels?.[0]?.textContent.trim()) unreachable.push(input.name + ' has no label');
      const before = drawn(), was = input.value;
      if (input.tagName === 'SELECT') input.selectedIndex = 1;
      else input.value = Number(was) + (Number(input.max) > Number(was) ? 4 : -4) * Number(input.step);
      input.dispatchEvent(new window.Event('input', { bubbles: true }));
      if (drawn() === before) still.push(input.name);
      input.value = was;
      input.dispatchEvent(new window.Event('input', { bubbles: true }));
    }
    // A pointer that drags or points changes the picture too, where there is something to drag.
    let dragged = null;
    if (thing.dataset.play === 'perceptron') {
      const picture = stage.firstElementChild, box = picture.getBoundingClientRect(), before = drawn();
      const at = { clientX: box.left + box.width * 0.3, clientY: box.top + box.height * 0.7, bubbles: true, buttons: 1 };
      picture.dispatchEvent(new window.PointerEvent('pointerdown', at));
      dragged = drawn() !== before;
    }
    if (thing.dataset.play === 'im2col') {
      const before = drawn();
      stage.querySelectorAll('[data-cell="5,0"]')[0].dispatchEvent(new window.PointerEvent('pointerover', { bubbles: true }));
      dragged = drawn() !== before;
    }
    const kind = window.eval('play').kinds[thing.dataset.play], data = JSON.parse(thing.dataset.values);
    const asked = (questions[thing.dataset.play] ?? []).map(values => kind.compute(values, data));
    const stories = [...stage.querySelectorAll(':scope > svg')].filter(svg => !svg.querySelector('title')?.textContent).length;
    all.push({ kind: thing.dataset.play, still, unreachable, dragged, asked, stories });
  }
  // Curves tell their values, tables sort.
  const plot = page.querySelector('svg.figure [data-x]:has(path.line[data-name])');
  let told = null;
  if (plot) {
    const picture = plot.closest('svg.figure'), box = picture.getBoundingClientRect();
    picture.dispatchEvent(new window.PointerEvent('pointermove', { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }));
    told = picture.querySelector('.told')?.textContent ?? '';
  }
  const table = page.querySelector('table th[class] button, table th button')?.closest('table');
  let sorted = null;
  if (table) {
    const column = table.tHead.rows[0].cells.length - 1;
    const button = table.tHead.rows[0].cells[column].querySelector('button');
    button.click();
    sorted = [...table.tBodies[0].rows].map(row => row.cells[column].textContent);
  }
  return { things: all, told, sorted, problems: window.problems };
}
