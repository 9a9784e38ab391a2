// The book's computational graph: apples and oranges, with tax. Values go forwards, gradients come back.
play.kinds.shopping = {
  compute({ apple, apples, orange, oranges, tax }) {
    const [a, o] = [apple * apples, orange * oranges], sum = a + o, price = sum * tax;
    // Backwards: each node multiplies what comes from above with its own derivative.
    const dsum = tax, dtax = sum;
    return {
      values: { apple, apples, orange, oranges, tax, a, o, sum, price },
      gradients: { apple: dsum * apples, apples: dsum * apple, orange: dsum * oranges, oranges: dsum * orange, tax: dtax, a: dsum, o: dsum, sum: dsum, price: 1 },
    };
  },
  draw(stage, { values, gradients }, _, { words }) {
    const picture = play.picture(stage, 620, 300);
    // On a narrow screen it is better moved sideways than too small to read.
    picture.style.minWidth = '500px';
    const node = (x, y, sign) => picture.append(svg('circle', { class: 'box', cx: x, cy: y, r: 15 }), play.text(x, y + 4, sign, { class: 'strong', 'text-anchor': 'middle' }));
    const edge = (name, x0, y0, x1, y1) => {
      const turn = x0 + 84;
      picture.append(svg('path', { class: 'edge', d: `M${x0} ${y0}H${turn}C${(turn + x1) / 2} ${y0} ${(turn + x1) / 2} ${y1} ${x1} ${y1}` }));
      picture.append(play.text(x0 + 42, y0 - 6, play.number(values[name], 6), { class: 'value', 'text-anchor': 'middle' }));
      picture.append(play.text(x0 + 42, y0 + 15, play.number(gradients[name], 6), { class: 'gradient', 'text-anchor': 'middle' }));
    };
    const inputs = [['apple', 30], ['apples', 90], ['orange', 170], ['oranges', 230]];
    for (const [name, y] of inputs) {
      picture.append(play.text(0, y + 4, words[name], { class: 'strong' }));
      edge(name, 92, y, 210, y < 130 ? 60 : 200);
    }
    edge('a', 240, 60, 345, 120);
    edge('o', 240, 200, 345, 140);
    edge('sum', 375, 130, 480, 140);
    picture.append(play.text(300, 262, words.tax, { class: 'strong' }));
    edge('tax', 375, 258, 482, 152);
    edge('price', 510, 145, 600, 145);
    for (const [x, y, sign] of [[225, 60, '×'], [225, 200, '×'], [360, 130, '+'], [495, 145, '×']]) node(x, y, sign);
    picture.append(play.text(620, 120, words.price, { class: 'strong', 'text-anchor': 'end' }));
  },
};
