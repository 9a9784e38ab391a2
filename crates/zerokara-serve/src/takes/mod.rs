//! What a model takes, and how what was sent becomes its inputs.

mod input;

pub(crate) use input::{How, Input};

use crate::{
    given::Given,
    refusal::{Outcome, Refusal},
};
use input::Owned;
use zerokara_core::{Array, Arrays, Port};
use zerokara_data::Raw;
use zerokara_train::SavedModel;

/// The inputs of a model.
pub(crate) struct Takes {
    inputs: Vec<Input>,
}

impl Takes {
    pub fn of(model: &SavedModel) -> Self {
        let input = |port: &Port| Input::new(port, model.preprocessing(&port.name));
        Self {
            inputs: model.given().map(input).collect(),
        }
    }

    pub fn inputs_by_name(&self) -> &[Input] {
        &self.inputs
    }

    /// The shape `[C, H, W]` of pictures.
    pub fn picture(&self) -> Option<[usize; 3]> {
        let [input] = &self.inputs[..] else {
            return None;
        };
        let shape = <[usize; 3]>::try_from(&input.shape[..]).ok()?;
        let is_picture = matches!(input.how, How::Values)
            && matches!(shape, [1 | 3, height, width] if height > 0 && width > 0);
        is_picture.then_some(shape)
    }

    pub fn picture_shape(&self) -> Outcome<[usize; 3]> {
        let none = || Refusal::unknown_kind("the model takes no pictures; send its inputs as JSON");
        self.picture().ok_or_else(none)
    }

    /// The names of the columns, if it takes rows of a table and nothing else.
    pub fn columns(&self) -> Outcome<Vec<&str>> {
        match &self.inputs[..] {
            [
                Input {
                    how: How::Row(columns),
                    ..
                },
            ] => Ok(columns.iter().map(|(name, _)| &**name).collect()),
            _ => Err(Refusal::unknown_kind(
                "the model takes no rows of a table; send its inputs as JSON",
            )),
        }
    }

    /// One sample, or those of a list; and which of the two it was.
    pub fn samples(&self, given: Given) -> Outcome<(Vec<Given>, bool)> {
        let is_one = match (&self.inputs[..], &given) {
            ([input], given) => input.is_one(given)?,
            (_, given) => matches!(given, Given::Fields(_)),
        };
        if is_one {
            return Ok((vec![given], false));
        }
        let what = given.what();
        match given.items() {
            Some(items) => Ok((items, true)),
            None => Err(Refusal::unfit(format!(
                "the model takes {}, or a list of such, not {what}",
                self.wanted()
            ))),
        }
    }

    /// What a sample is, in words.
    fn wanted(&self) -> String {
        match &self.inputs[..] {
            [input] => input.wanted(),
            inputs => {
                let names: Vec<&str> = inputs.iter().map(|input| &*input.name).collect();
                format!("an object with the inputs {}", names.join(", "))
            }
        }
    }

    /// The inputs of one sample, a batch of one.
    pub fn inputs(&self, model: &SavedModel, given: &Given) -> Outcome<Arrays> {
        let found: Vec<&Given> = match (&self.inputs[..], given) {
            ([_], given) => vec![given],
            (_, Given::Fields(fields)) => {
                let known = |name: &str| self.inputs.iter().any(|input| &*input.name == name);
                if let Some((unknown, _)) = fields.iter().find(|(name, _)| !known(name)) {
                    return Err(Refusal::unfit(format!(
                        "the model has no input {unknown:?}; it takes {}",
                        self.wanted()
                    )));
                }
                let value = |input: &Input| {
                    let found = fields.iter().find(|(name, _)| **name == *input.name);
                    let none = || format!("no value is given for the input {:?}", input.name);
                    found.map(|(_, v)| v).ok_or_else(|| Refusal::unfit(none()))
                };
                self.inputs.iter().map(value).collect::<Outcome<_>>()?
            }
            (_, given) => {
                return Err(Refusal::unfit(format!(
                    "the model takes {}, not {}",
                    self.wanted(),
                    given.what()
                )));
            }
        };
        let owned = self.inputs.iter().zip(found);
        let owned: Vec<Owned> = owned
            .map(|(input, given)| input.owned(given))
            .collect::<Outcome<_>>()?;
        self.encoded(model, &owned)
    }

    /// The inputs of a row of cells.
    pub fn row(&self, model: &SavedModel, cells: &[String]) -> Outcome<Arrays> {
        self.encoded(model, &[Owned::Row(cells.to_vec())])
    }

    /// The input of stored values.
    pub fn stored(&self, model: &SavedModel, values: Vec<f32>) -> Outcome<Arrays> {
        let [input] = &self.inputs[..] else {
            return self.encoded(model, &[]);
        };
        let values = Array::new(input.shape.clone(), values);
        self.encoded(model, &[Owned::Values(values)])
    }

    fn encoded(&self, model: &SavedModel, owned: &[Owned]) -> Outcome<Arrays> {
        // What a model says of several lines is about a place in code.
        let unfit = |text: String| {
            let line = text.lines().next().unwrap_or_default();
            Refusal::unfit(line)
        };
        let one = |array: &Array| array.reshaped([&[1], array.shape()].concat());
        if let ([input], [Owned::Values(values)]) = (&self.inputs[..], owned)
            && matches!(input.how, How::Values)
            && !input.shape.contains(&0)
        {
            let mut values = values.clone();
            let channels = input.shape.first().copied().unwrap_or(1);
            let normalized = values
                .as_mut_slice::<f32>()
                .map_err(|e| unfit(e.to_string()))?;
            let fits = model.card().normalization.apply(normalized, channels);
            fits.map_err(|e| unfit(e.to_string()))?;
            return Ok(Arrays::one(input.name.clone(), one(&values)));
        }
        if self.inputs.iter().all(|i| !matches!(i.how, How::Plain)) {
            let cells: Vec<Vec<&str>> = owned.iter().map(Owned::cells).collect();
            let named = self.inputs.iter().zip(owned).zip(&cells);
            let raw = named.map(|((input, owned), cells)| (&*input.name, owned.raw(cells)));
            let raw: Vec<(&str, Raw)> = raw.collect();
            return model.encode(&raw).map_err(|e| unfit(e.to_string()));
        }
        let mut arrays = Arrays::new();
        for (input, owned) in self.inputs.iter().zip(owned) {
            let array = match (owned, model.preprocessing(&input.name)) {
                (Owned::Values(values), None) => values.clone(),
                (owned, Some(how)) => {
                    let cells = owned.cells();
                    let made = how.array(owned.raw(&cells));
                    made.map_err(|e| unfit(format!("input {}: {e}", input.name)))?
                }
                (_, None) => return Err(unfit(format!("input {} takes numbers", input.name))),
            };
            arrays.insert(input.name.clone(), one(&array));
        }
        Ok(arrays)
    }

    /// Rows of cells from a text with a head, in the order of the model's columns; a column that the model does not know is
    /// passed over, such as what is to be predicted. More than so many rows are not read.
    pub fn rows(&self, text: &[u8], most: usize) -> Outcome<Vec<Vec<String>>> {
        let columns = self.columns()?;
        let broken = |e: csv::Error| Refusal::malformed(format!("the rows cannot be read: {e}"));
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::Reader::from_reader(text);
        let head = reader.headers().map_err(broken)?.clone();
        let place = |column: &&str| {
            let found = head.iter().position(|name| name.trim() == *column);
            found.ok_or_else(|| {
                Refusal::unfit(format!(
                    "the first row names no column {column:?}; the model takes {}",
                    columns.join(", ")
                ))
            })
        };
        let places: Vec<usize> = columns.iter().map(place).collect::<Outcome<_>>()?;
        let mut rows = Vec::new();
        for record in reader.records().take(most + 1) {
            let record = record.map_err(broken)?;
            let cell = |&at: &usize| record.get(at).unwrap_or_default().to_string();
            rows.push(places.iter().map(cell).collect());
        }
        Ok(rows)
    }
}
