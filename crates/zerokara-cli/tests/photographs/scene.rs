//! Pictures of handwritten digits as people have them, made from test images of MNIST.

/// Numbers by chance, the same in every run.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.share()
    }

    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.share()).sum::<f32>() - 6.0
    }
}

/// How much ink covers each pixel, from 0 to 1.
#[derive(Clone)]
pub struct Ink {
    pub width: usize,
    pub height: usize,
    pub cover: Vec<f32>,
}

impl Ink {
    /// An image of 28 × 28, `scale` times as large and turned, its middle at these shares of the picture's sides.
    pub fn drawn(
        digit: &[f32],
        size: [usize; 2],
        scale: f32,
        middle: [f32; 2],
        degrees: f32,
    ) -> Self {
        let [height, width] = size;
        let (sin, cos) = degrees.to_radians().sin_cos();
        let at = |y: isize, x: isize| match (0..28).contains(&y) && (0..28).contains(&x) {
            true => digit[(y * 28 + x) as usize],
            false => 0.0,
        };
        let cover = (0..height * width).map(|pixel| {
            let down = (pixel / width) as f32 + 0.5 - middle[0] * height as f32;
            let right = (pixel % width) as f32 + 0.5 - middle[1] * width as f32;
            let y = (cos * down - sin * right) / scale + 13.5;
            let x = (sin * down + cos * right) / scale + 13.5;
            let (y0, x0) = (y.floor(), x.floor());
            let (v, u) = (y - y0, x - x0);
            let (y0, x0) = (y0 as isize, x0 as isize);
            (at(y0, x0) * (1.0 - u) + at(y0, x0 + 1) * u) * (1.0 - v)
                + (at(y0 + 1, x0) * (1.0 - u) + at(y0 + 1, x0 + 1) * u) * v
        });
        Self {
            width,
            height,
            cover: cover.collect(),
        }
    }

    /// Every pixel enlarged to a square.
    pub fn squares(digit: &[f32], factor: usize) -> Self {
        let side = 28 * factor;
        let cover = (0..side * side).map(|at| digit[at / side / factor * 28 + at % side / factor]);
        Self {
            width: side,
            height: side,
            cover: cover.collect(),
        }
    }

    pub fn on(self, light: impl Fn(f32, f32) -> f32, ink: f32) -> Photo {
        self.coloured(|y, x| [light(y, x); 3], [ink; 3])
    }

    /// Ink that reflects these shares of the light, on paper in this light, which depends on the place (0 to 1).
    pub fn coloured(self, light: impl Fn(f32, f32) -> [f32; 3], ink: [f32; 3]) -> Photo {
        let (width, height) = (self.width, self.height);
        let pixels = self.cover.iter().enumerate().map(|(at, &cover)| {
            let y = (at / width) as f32 / height as f32;
            let x = (at % width) as f32 / width as f32;
            let light = light(y, x);
            std::array::from_fn(|c| light[c] * (1.0 - cover * (1.0 - ink[c])))
        });
        Photo {
            width,
            height,
            pixels: pixels.collect(),
        }
    }

    fn binary(&self) -> Vec<bool> {
        self.cover.iter().map(|&c| c > 0.5).collect()
    }

    /// The strokes as another pen draws them: `radius` around their middle lines.
    pub fn with_pen(&self, radius: f32) -> Self {
        self.grown_from(&thinned(self.binary(), self.width), radius)
    }

    /// Strokes wider by this many pixels on each side, or narrower if below 0.
    pub fn wider(&self, by: f32) -> Self {
        if by >= 0.0 {
            return self.grown_from(&self.binary(), by);
        }
        let paper: Vec<bool> = self.binary().iter().map(|b| !b).collect();
        let mut grown = self.grown_from(&paper, -by);
        grown.cover.iter_mut().for_each(|c| *c = 1.0 - *c);
        grown
    }

    fn grown_from(&self, seeds: &[bool], radius: f32) -> Self {
        let (w, h) = (self.width as isize, self.height as isize);
        let reach = radius.ceil() as isize + 1;
        let mut cover = vec![0.0f32; self.cover.len()];
        for at in (0..seeds.len()).filter(|&at| seeds[at]) {
            let (y, x) = (at as isize / w, at as isize % w);
            for v in (y - reach).max(0)..(y + reach + 1).min(h) {
                for u in (x - reach).max(0)..(x + reach + 1).min(w) {
                    let distance = (((v - y).pow(2) + (u - x).pow(2)) as f32).sqrt();
                    let here = (radius + 0.5 - distance).clamp(0.0, 1.0);
                    let cell = &mut cover[(v * w + u) as usize];
                    *cell = cell.max(here);
                }
            }
        }
        Self {
            cover,
            ..self.clone()
        }
    }
}

/// Lines of one pixel in the middle of what is set (Zhang and Suen, 1984).
fn thinned(mut set: Vec<bool>, width: usize) -> Vec<bool> {
    let height = set.len() / width;
    loop {
        let mut changed = false;
        for step in 0..2 {
            let mut gone = Vec::new();
            for y in 1..height - 1 {
                for x in 1..width - 1 {
                    let at = y * width + x;
                    if !set[at] {
                        continue;
                    }
                    let p = [
                        at - width,
                        at - width + 1,
                        at + 1,
                        at + width + 1,
                        at + width,
                        at + width - 1,
                        at - 1,
                        at - width - 1,
                    ]
                    .map(|i| set[i]);
                    let count = p.iter().filter(|&&b| b).count();
                    let turns = (0..8).filter(|&i| !p[i] && p[(i + 1) % 8]).count();
                    let [n, e, s, w] = [p[0], p[2], p[4], p[6]];
                    let edge = match step {
                        0 => !(e && s && (n || w)),
                        _ => !(n && w && (e || s)),
                    };
                    if (2..=6).contains(&count) && turns == 1 && edge {
                        gone.push(at);
                    }
                }
            }
            changed |= !gone.is_empty();
            gone.into_iter().for_each(|at| set[at] = false);
        }
        if !changed {
            return set;
        }
    }
}

/// A picture of red, green and blue from 0 to 1.
#[derive(Clone)]
pub struct Photo {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[f32; 3]>,
}

impl Photo {
    /// Paints a rectangle; the picture's sides are 1 long.
    pub fn rectangle(
        mut self,
        [top, left]: [f32; 2],
        [height, width]: [f32; 2],
        colour: f32,
    ) -> Self {
        let (h, w) = (self.height as f32, self.width as f32);
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            let y = (at / self.width) as f32 / h;
            let x = (at % self.width) as f32 / w;
            if (top..top + height).contains(&y) && (left..left + width).contains(&x) {
                *pixel = [colour; 3];
            }
        }
        self
    }

    /// Changes every pixel by what this gives for its place.
    pub fn lit(mut self, light: impl Fn(f32, f32) -> f32) -> Self {
        let (h, w) = (self.height as f32, self.width as f32);
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            let factor = light((at / self.width) as f32 / h, (at % self.width) as f32 / w);
            pixel.iter_mut().for_each(|v| *v *= factor);
        }
        self
    }

    /// White for black.
    pub fn turned_over(mut self) -> Self {
        self.pixels
            .as_flattened_mut()
            .iter_mut()
            .for_each(|v| *v = 1.0 - *v);
        self
    }

    /// Normal noise of this deviation, of 255, the same in all colours.
    pub fn noisy(mut self, sigma: f32, chance: &mut Chance) -> Self {
        for pixel in &mut self.pixels {
            let noise = sigma / 255.0 * chance.normal();
            pixel.iter_mut().for_each(|v| *v += noise);
        }
        self
    }

    /// The mean of each pixel and its neighbours.
    pub fn blurred(self, reach: usize) -> Self {
        let (w, h) = (self.width, self.height);
        let mut out = self.clone();
        for y in 0..h {
            for x in 0..w {
                let mut sum = [0.0; 3];
                let mut count = 0.0;
                for v in y.saturating_sub(reach)..(y + reach + 1).min(h) {
                    for u in x.saturating_sub(reach)..(x + reach + 1).min(w) {
                        let pixel = self.pixels[v * w + u];
                        sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += p);
                        count += 1.0;
                    }
                }
                out.pixels[y * w + x] = sum.map(|s| s / count);
            }
        }
        out
    }

    pub fn bytes(&self) -> Vec<u8> {
        let values = self.pixels.as_flattened().iter();
        values.map(|v| (v * 255.0).round() as u8).collect()
    }

    pub fn png(&self) -> Vec<u8> {
        png(self.width, self.height, png::ColorType::Rgb, &self.bytes())
    }

    pub fn jpeg(&self, quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
        let (width, height) = (self.width as u16, self.height as u16);
        let colour = jpeg_encoder::ColorType::Rgb;
        encoder
            .encode(&self.bytes(), width, height, colour)
            .unwrap();
        bytes
    }
}

pub fn png(width: usize, height: usize, colour: png::ColorType, values: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_compression(png::Compression::Fastest);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(values).unwrap();
    writer.finish().unwrap();
    bytes
}
