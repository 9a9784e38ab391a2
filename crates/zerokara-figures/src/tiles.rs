//! Pictures side by side, each with a line of text below it.

use crate::{
    Figure, Picture,
    figure::{Draw, Drawing, Words, px, text, width_of},
};
use svg::node::element::{Group, Image, Rectangle};

const FONT: f64 = 12.0;
const GAP: f64 = 8.0;

/// Pictures in rows, each with its caption: digits, filters, feature maps, matrices.
///
/// ```
/// use zerokara_figures::{Picture, Tiles};
///
/// let picture = Picture::from_weights(&[-1.0, 0.0, 0.5, 1.0], [1, 2, 2], 1.0).unwrap();
/// let figure = Tiles::new("A filter").tile_size(48).add(picture, "2 x 2").figure();
/// assert!(figure.svg().contains("data:image/png"));
/// ```
#[derive(Clone, Debug)]
pub struct Tiles {
    title: String,
    columns: usize,
    tile: f64,
    tiles: Vec<(Picture, String, bool)>,
}

impl Tiles {
    /// No pictures yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            columns: 10,
            tile: 40.0,
            tiles: Vec::new(),
        }
    }

    /// Pictures in a row; 10 unless set.
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Width of a picture in pixels; 40 unless set. Its height follows from its shape.
    pub fn tile_size(mut self, pixels: u32) -> Self {
        self.tile = f64::from(pixels.max(4));
        self
    }

    /// One more picture.
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, picture: Picture, caption: impl Into<String>) -> Self {
        self.tiles.push((picture, caption.into(), false));
        self
    }

    /// Makes the caption of the last picture stand out.
    pub fn strong(mut self) -> Self {
        if let Some(last) = self.tiles.last_mut() {
            last.2 = true;
        }
        self
    }

    /// The pictures, drawn.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    fn drawn(&self) -> Drawing {
        let captions = self.tiles.iter().map(|t| width_of(&t.1, FONT * 0.92));
        let room = captions.fold(self.tile, f64::max) + GAP;
        let any_caption = self.tiles.iter().any(|t| !t.1.is_empty());
        let caption = if any_caption { 18.0 } else { 0.0 };
        let top = if self.title.is_empty() { 2.0 } else { 28.0 };
        let height_of = |p: &Picture| self.tile * p.height as f64 / p.width.max(1) as f64;

        let mut body = Group::new();
        if !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
        }
        let mut y = top;
        for row in self.tiles.chunks(self.columns) {
            let tallest = row.iter().map(|t| height_of(&t.0)).fold(0.0, f64::max);
            for (column, (picture, words, strong)) in row.iter().enumerate() {
                let x = column as f64 * room + (room - GAP - self.tile) / 2.0 + 1.0;
                let frame = (px(x), px(y), px(self.tile), px(height_of(picture)));
                body = body
                    .add(
                        Image::new()
                            .set("href", picture.data_uri())
                            .set("x", frame.0)
                            .set("y", frame.1)
                            .set("width", frame.2)
                            .set("height", frame.3)
                            .set("preserveAspectRatio", "none"),
                    )
                    .add(
                        Rectangle::new()
                            .set("class", "frame")
                            .set("x", frame.0)
                            .set("y", frame.1)
                            .set("width", frame.2)
                            .set("height", frame.3),
                    );
                if !words.is_empty() {
                    let class = if *strong { "small strong" } else { "small" };
                    let at = (x + self.tile / 2.0, y + tallest + 13.0);
                    body = body.add(text(at, "middle", class, words));
                }
            }
            y += tallest + caption + GAP;
        }
        let columns = self.columns.min(self.tiles.len().max(1)) as f64;
        let width = (columns * room - GAP + 2.0).max(width_of(&self.title, 15.5));
        let words = self
            .tiles
            .iter()
            .map(|t| t.1.as_str())
            .filter(|t| !t.is_empty());
        let description = words.take(40).collect::<Vec<_>>().join("; ");
        Drawing::new(
            &self.title,
            description,
            (width.ceil(), (y + 2.0).ceil()),
            &body,
        )
    }
}

impl Draw for Tiles {
    fn draw(&self, words: Words) -> Drawing {
        let mut tiles = self.clone();
        tiles.title = words(&tiles.title);
        for (_, caption, _) in &mut tiles.tiles {
            *caption = words(caption);
        }
        tiles.drawn()
    }
}
