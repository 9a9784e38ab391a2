// im2col: each window of the image becomes a row of the matrix.
play.kinds.im2col = {
  compute({ row }, { image, side }) {
    const count = image.length - side + 1, windows = [];
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++)
      windows.push(image.slice(i, i + side).flatMap(line => line.slice(j, j + side)));
    return { windows, count, row: Math.min(row, windows.length) - 1 };
  },
  draw(stage, { windows, count, row }, values, { image, side }, set) {
    const size = 24, gap = 36, left = image.length * size + gap;
    const picture = play.picture(stage, left + side * side * size + 4, Math.max(windows.length, image.length) * size + 4);
    const [i, j] = [Math.floor(row / count), row % count];
    const within = (v, from) => v >= from && v < from + side;
    const pixels = svg('g'), rows = svg('g');
    play.cells(pixels, 1, 1, image, size, (r, c) => within(r, i) && within(c, j) ? 'c1' : '');
    play.cells(rows, left, 1, windows, size, r => r === row ? 'c1' : '');
    picture.append(pixels, rows);
    // Pointing at a row shows its window; pointing at a pixel, the window that begins there or as near as there is one.
    const point = (group, find) => group.addEventListener('pointerover', event => {
      const cell = event.target.closest('[data-cell]');
      if (!cell) return;
      const next = find(...cell.dataset.cell.split(',').map(Number));
      if (next !== row) set({ row: next + 1 });
    });
    point(rows, r => r);
    point(pixels, (r, c) => Math.min(r, count - 1) * count + Math.min(c, count - 1));
  },
};
