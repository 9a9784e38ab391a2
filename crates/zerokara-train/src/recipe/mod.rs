//! Recipes: what a run is to do, as a TOML file that people write and change.

mod check;
mod fields;
mod layers;
mod ranges;
mod schema;
mod sequences;
mod suggest;
mod write;

pub use layers::LayerDescription;
pub(crate) use layers::network;
pub use ranges::{Range as SearchRange, Values as SearchValues};

use crate::{
    description::{DataDescription, RunDescription},
    error::{Error, Result},
};
use check::{Fault, check};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs, ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use zerokara_data::Dataset;

/// A recipe: a run's description, or a part of one, from a TOML file and what is set besides.
///
/// What it does not say has defaults that suit the data. A mistake is told with file, line and column, and with the nearest name that
/// there is.
///
/// ```
/// use zerokara_train::Recipe;
///
/// let mut recipe = Recipe::parse("epochs = 20\n\n[data]\nname = \"mnist\"\n\n[optimizer]\nname = \"adam\"\n", "digits.toml")?;
/// recipe.set("optimizer.learning_rate=0.002")?;
/// let data = recipe.data()?.load()?;
/// let run = recipe.description(&data)?;
/// assert_eq!((run.epochs, run.optimizer.settings["learning_rate"]), (20, 0.002));
///
/// let wrong = Recipe::parse("[optimizer]\nnmae = \"adam\"\n", "digits.toml").unwrap_err().to_string();
/// assert_eq!(wrong, "digits.toml:2:1: there is no field \"nmae\" in optimizer; did you mean \"name\"?");
/// # Ok::<(), zerokara_train::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    value: Map<String, Value>,
    /// Where each value stands, by its path.
    places: BTreeMap<String, Place>,
}

/// Where something was said.
#[derive(Clone, Debug)]
struct Place {
    /// Of the field's name.
    name: String,
    /// Of its value.
    value: String,
}

impl Recipe {
    /// Nothing is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a recipe from a file.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or says something that no recipe can say.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Error::new(format!("{name}: the recipe cannot be read: {error}")))?;
        let mut recipe = Self::parse(&text, &name)?;
        recipe.relate(path.parent().unwrap_or(Path::new("")));
        Ok(recipe)
    }

    /// Reads a recipe from a text; `name` is what errors call it.
    ///
    /// # Errors
    /// If it is no TOML, or says something that no recipe can say.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let at = |range: Range<usize>| {
            let before = text.get(..range.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            format!("{name}:{line}:{column}")
        };
        let table = DeTable::parse(text).map_err(|error| {
            let place = at(error.span().unwrap_or(0..0));
            Error::new(format!("{place}: {}", error.message()))
        })?;
        let mut recipe = Self::default();
        recipe.value = recipe.table("", table.get_ref(), &at)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Paths of a recipe begin at its folder.
    fn relate(&mut self, folder: &Path) {
        let data = self.value.get_mut("data");
        if let Some(Value::String(path)) = data.and_then(|data| data.get_mut("path"))
            && Path::new(path).is_relative()
            && folder != Path::new("")
        {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }

    fn table(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        at: &dyn Fn(Range<usize>) -> String,
    ) -> Result<Map<String, Value>> {
        let mut fields = Map::new();
        for (key, value) in table {
            let path = match path {
                "" => key.get_ref().to_string(),
                path => format!("{path}.{}", key.get_ref()),
            };
            let place = Place {
                name: at(key.span()),
                value: at(value.span()),
            };
            self.places.insert(path.clone(), place);
            let value = self.converted(&path, value, at)?;
            fields.insert(key.get_ref().to_string(), value);
        }
        Ok(fields)
    }

    fn converted(
        &mut self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        at: &dyn Fn(Range<usize>) -> String,
    ) -> Result<Value> {
        let wrong = |why: &str| Err(Error::new(format!("{}: {path} {why}", at(value.span()))));
        Ok(match value.get_ref() {
            DeValue::String(text) => text.to_string().into(),
            DeValue::Boolean(truth) => (*truth).into(),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix());
                let large = u64::from_str_radix(number.as_str(), number.radix());
                match (read, large) {
                    (Ok(number), _) => number.into(),
                    (_, Ok(number)) => number.into(),
                    _ => return wrong("is too large a number"),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => number.into(),
                _ => return wrong("is no finite number"),
            },
            DeValue::Datetime(_) => {
                return wrong("is a date, which no field takes; put it in quotes");
            }
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    let path = format!("{path}[{number}]");
                    let place = Place {
                        name: at(item.span()),
                        value: at(item.span()),
                    };
                    self.places.insert(path.clone(), place);
                    list.push(self.converted(&path, item, at)?);
                }
                list.into()
            }
            DeValue::Table(table) => self.table(path, table, at)?.into(),
        })
    }

    /// Sets a field to a value: `optimizer.learning_rate=1e-3`, `model.layers[0].outputs=64`. The value is written as in TOML; a text
    /// needs no quotes.
    ///
    /// # Errors
    /// If there is no such field, or it cannot have the value.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let Some((path, value)) = text.split_once('=') else {
            return Err(Error::new(format!(
                "--set {text}: a field and its value are needed, such as optimizer.learning_rate=1e-3"
            )));
        };
        self.set_value(
            path.trim(),
            value_of(value.trim()),
            &format!("--set {text}"),
        )
    }

    /// Sets a field to a value; `said` is what errors call it, such as a flag.
    ///
    /// # Errors
    /// As [`Recipe::set`].
    pub fn set_value(&mut self, path: &str, value: impl Into<Value>, said: &str) -> Result<()> {
        let wrong = |why: String| Error::new(format!("{said}: {why}"));
        let steps = steps(path).map_err(&wrong)?;
        let mut whole = Value::Object(std::mem::take(&mut self.value));
        let result = put(&mut whole, &steps, value.into()).map_err(&wrong);
        if let Value::Object(fields) = whole {
            self.value = fields;
        }
        result?;
        let place = Place {
            name: said.to_string(),
            value: said.to_string(),
        };
        let mut so_far = String::new();
        for step in &steps {
            match step {
                Step::Field(name) if so_far.is_empty() => so_far.push_str(name),
                Step::Field(name) => so_far += &format!(".{name}"),
                Step::Item(number) => so_far += &format!("[{number}]"),
            }
            self.places
                .entry(so_far.clone())
                .or_insert_with(|| place.clone());
        }
        self.places.insert(so_far, place);
        self.check()
    }

    /// What is said, as JSON.
    pub(crate) fn value(&self) -> Value {
        Value::Object(self.value.clone())
    }

    /// A recipe of what [`Recipe::value`] gave.
    pub(crate) fn of_value(value: Value) -> Result<Self> {
        let Value::Object(value) = value else {
            return Err(Error::new("a recipe is a table"));
        };
        let recipe = Self {
            value,
            ..Self::default()
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// Whether a field is said.
    pub fn says(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let mut value = self.value.get(first)?;
        for name in rest.split('.').filter(|name| !name.is_empty()) {
            value = value.get(name)?;
        }
        Some(value)
    }

    fn check(&self) -> Result<()> {
        check(&Value::Object(self.value.clone()), &fields::recipe(), "")
            .map_err(|fault| self.told(fault))?;
        match self.says("search.ranges") {
            true => self.check_ranges(),
            false => Ok(()),
        }
    }

    /// A fault with its place.
    fn told(&self, fault: Fault) -> Error {
        // What is missing stands nowhere: what should have it does.
        let mut path = fault.path.as_str();
        let place = loop {
            match self.places.get(path) {
                Some(place) if fault.is_name => break Some(&place.name),
                Some(place) => break Some(&place.value),
                None => match path.rfind(['.', '[']) {
                    Some(end) => path = &path[..end],
                    None => break None,
                },
            }
        };
        Error::new(match place {
            Some(place) => format!("{place}: {}", fault.why),
            None => fault.why,
        })
    }

    /// Which data, and how they are read.
    ///
    /// # Errors
    /// If that is not said.
    pub fn data(&self) -> Result<DataDescription> {
        let data = self.value.get("data").cloned().unwrap_or_default();
        if data.get("name").is_none() && data.get("path").is_none() {
            return Err(Error::new(
                "the recipe does not say which data to train on; a table [data] with a path (or a name, such as mnist) does",
            ));
        }
        let mut described: DataDescription = serde_json::from_value(data)?;
        described.seed = self.value.get("seed").and_then(Value::as_u64).unwrap_or(0);
        if let Some(validation) = self.value.get("validation") {
            described.validation = crate::description::amount_of(validation);
        }
        Ok(described)
    }

    /// The whole description of the run on these data: what is said, and else what suits the data.
    ///
    /// # Errors
    /// If what is said does not go together.
    pub fn description(&self, data: &Dataset) -> Result<RunDescription> {
        let suggested = suggest::suggested(data, self)?;
        let mut whole = serde_json::to_value(&suggested)?;
        let mut said = self.value.clone();
        // It is not for one run.
        said.remove("search");
        merge(&mut whole, Value::Object(said));
        // What was found in the data is not for the recipe to say.
        whole["data"]["name"] = data.name.clone().into();
        if whole.get("class_weights").is_some_and(Value::is_string) {
            whole["class_weights"] = suggest::balanced(data)?.into();
        }
        let seed = whole["seed"].clone();
        if let Some(augment) = whole.get_mut("augment").and_then(Value::as_object_mut) {
            augment.entry("seed").or_insert(seed);
        }
        check(&whole, &fields::recipe(), "").map_err(|fault| self.told(fault))?;
        Ok(serde_json::from_value(whole)?)
    }

    /// The recipe of the description, as a file with comments.
    ///
    /// # Errors
    /// If the description is that of a program's own model or data.
    pub fn written(run: &RunDescription, about: &[String]) -> Result<String> {
        write::written(run, about)
    }

    /// The JSON schema of recipes, for editors.
    pub fn schema() -> Value {
        schema::schema(&fields::recipe())
    }
}

/// A value as it is written in TOML; else the text itself.
fn value_of(text: &str) -> Value {
    let line = format!("value = {text}");
    let parsed = DeTable::parse(&line).ok().and_then(|table| {
        let mut own = Recipe::default();
        own.table("", table.get_ref(), &|_| String::new())
            .ok()?
            .remove("value")
    });
    parsed.unwrap_or_else(|| text.into())
}

/// A step of a path.
enum Step {
    Field(String),
    Item(usize),
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut items) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return Err(format!(
                "{path:?} is no path of a field, such as optimizer.learning_rate"
            ));
        }
        steps.push(Step::Field(name.to_string()));
        while let Some(rest) = items.strip_prefix('[') {
            let number = rest
                .split_once(']')
                .and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
            let Some((number, rest)) = number else {
                return Err(format!(
                    "{part:?} has no number between brackets, such as layers[0]"
                ));
            };
            steps.push(Step::Item(number));
            items = rest;
        }
    }
    Ok(steps)
}

/// Puts a value at the end of a path, making the tables on the way.
fn put(at: &mut Value, path: &[Step], value: Value) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *at = value;
        return Ok(());
    };
    match (step, at) {
        (Step::Field(name), Value::Object(fields)) => {
            let table = || Value::Object(Map::new());
            put(
                fields.entry(name.clone()).or_insert_with(table),
                rest,
                value,
            )
        }
        (Step::Item(number), Value::Array(items)) => {
            let count = items.len();
            let item = items.get_mut(*number);
            let item = item.ok_or_else(|| {
                format!("there is no item {number}: there are {count}, numbered from 0")
            })?;
            put(item, rest, value)
        }
        (Step::Field(name), _) => Err(format!("{name} cannot be set in what is no table")),
        (Step::Item(_), _) => Err("only lists have numbered items".to_string()),
    }
}

/// Lets one value win over another, field by field; where a name or the layers are said, they bring their own settings.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let another = ["name", "layers"].iter().any(|key| {
                over.get(*key)
                    .is_some_and(|said| under.get(*key) != Some(said))
            });
            if another && !under.contains_key("path") {
                under.clear();
            }
            for (name, value) in over {
                match under.get_mut(&name) {
                    Some(known) => merge(known, value),
                    None => {
                        under.insert(name, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}
