// A filter slides over an image with padding and stride: each place of the window gives one number.
play.kinds.windows = {
  compute({ padding, stride, at }, { image, filter }) {
    const zeros = Array(padding).fill(0), width = image.length + 2 * padding;
    const empty = Array.from({ length: padding }, () => Array(width).fill(0));
    const padded = [...empty, ...image.map(row => [...zeros, ...row, ...zeros]), ...empty.map(row => [...row])];
    const side = Math.floor((width - filter.length) / stride) + 1;
    const output = Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) =>
      filter.reduce((sum, row, k) => sum + row.reduce((s, w, l) => s + w * padded[i * stride + k][j * stride + l], 0), 0)));
    return { padded, output, at: Math.min(at, side * side) - 1, side };
  },
  draw(stage, { padded, output, at, side }, { padding, stride }, { filter }) {
    // There are as many windows as outputs.
    const slider = stage.closest('[data-play]').querySelector('[name=at]');
    slider.max = side * side;
    slider.parentElement.querySelector('output').textContent = `${at + 1} / ${side * side}`;
    const size = 26, [i, j] = [Math.floor(at / side), at % side];
    const within = (v, from) => v >= from && v < from + filter.length;
    const wide = padded.length * size, high = Math.max(padded.length, side, filter.length) * size;
    const picture = play.picture(stage, wide + 40 + filter.length * size + 40 + side * size + 4, high + 4);
    const border = v => v < padding || v >= padded.length - padding;
    play.cells(picture, 1, 1, padded, size, (r, c) => within(r, i * stride) && within(c, j * stride) ? 'c1' : border(r) || border(c) ? 'grey' : '');
    const middle = high / 2;
    picture.append(play.text(wide + 20, middle + 5, '∗', { class: 'strong', 'text-anchor': 'middle' }));
    play.cells(picture, wide + 40, middle - filter.length * size / 2, filter, size, () => 'c1');
    picture.append(play.text(wide + 60 + filter.length * size, middle + 5, '=', { class: 'strong', 'text-anchor': 'middle' }));
    const shown = output.map((row, r) => row.map((v, c) => r * side + c <= at ? v : null));
    play.cells(picture, wide + 80 + filter.length * size, middle - side * size / 2, shown, size, (r, c) => r === i && c === j ? 'c0' : '');
  },
};
