// The sigmoid of wx + b: w makes it steep, b moves it.
play.kinds.sigmoid = {
  compute({ w, b }) {
    const xs = Array.from({ length: 121 }, (_, i) => -6 + i / 10);
    return xs.map(x => [x, 1 / (1 + Math.exp(-(w * x + b)))]);
  },
  draw(stage, curve, { w, b }) {
    const plane = play.plane(stage, { x: [-6, 6], y: [-0.1, 1.1], names: ['x', 'y'] });
    const middle = -b / w, step = w > 0 ? [0, 0, 1, 1] : [1, 1, 0, 0];
    if (w !== 0) plane.line([[-6, step[0]], [middle, step[1]], [middle, step[2]], [6, step[3]]], 'grey dashed thin');
    plane.line(curve, 'c0');
    if (w !== 0) plane.dot([middle, 0.5], 'c1', 4.5);
  },
};
