//! Ranges that a search varies fields in: what the table `[search]` of a recipe says.

use super::{
    Place, Recipe, Step,
    check::{Fault, check},
    fields::{Field, Form, field, recipe},
    layers, put, steps,
};
use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// A field of a recipe that a search varies, and in what range.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The field's path, such as `optimizer.learning_rate`; `model.layers[*].ratio` is that field of all layers which have it.
    pub field: String,
    /// The values that it may have.
    pub values: Values,
    /// Fields and values: only if each field has one of its values is this one varied, and else left as the recipe has it.
    pub when: Vec<(String, Vec<Value>)>,
}

/// The values of a [`Range`].
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers from `low` to `high`; with `log`, equal ratios are equally likely.
    Number {
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
        /// Whether the scale is logarithmic.
        log: bool,
    },
    /// Whole numbers from `low` to `high`.
    Whole {
        /// The smallest.
        low: i64,
        /// The largest.
        high: i64,
        /// Whether the scale is logarithmic.
        log: bool,
    },
    /// These values.
    Choice(Vec<Value>),
}

/// The names of the ways to search.
const METHODS: [&str; 3] = ["tpe", "random", "hyperband"];
/// The names of the ways to end trials early.
const PRUNING: [&str; 2] = ["median", "none"];
/// The most trials of a search.
const MOST_TRIALS: u64 = 100_000;
/// The most trials side by side.
const MOST_PARALLEL: u64 = 256;

/// Where the ranges stand.
const RANGES: &str = "search.ranges";

/// What all trials share, so that they can be compared.
const SHARED: [(&str, &str); 6] = [
    ("data", "all trials must be judged by the same samples"),
    (
        "validation",
        "all trials must be judged by the same samples",
    ),
    (
        "seed",
        "all trials must be judged by the same samples, which it chooses",
    ),
    ("loss.name", "all trials must be judged by the same measure"),
    ("version", "it says how the recipe is read"),
    ("search", "it says how is searched"),
];

/// The table `[search]`.
pub(super) fn form() -> Form {
    let count = |most| Form::Whole { least: 1, most };
    Form::Table(vec![
        field("trials", count(MOST_TRIALS), "How many trials are made"),
        field(
            "method",
            Form::Choice(METHODS.to_vec()),
            "How values are chosen: tpe, random or hyperband",
        ),
        field(
            "seed",
            Form::whole(0),
            "The seed of the search; that of the recipe unless set",
        ),
        field(
            "prune",
            Form::Choice(PRUNING.to_vec()),
            "Which trials end early: median, those worse than half of the others; or none",
        ),
        field(
            "parallel",
            count(MOST_PARALLEL),
            "Trials side by side; it changes the time, not the result",
        ),
        field(
            "ranges",
            Form::Ranges(Box::new(range())),
            "Fields that are varied, and in what range",
        ),
    ])
}

fn range() -> Form {
    let value = || Form::Either(vec![Form::Flag, Form::any(), Form::Text]);
    Form::Table(vec![
        field("low", Form::any(), "The smallest value"),
        field("high", Form::any(), "The largest value"),
        field(
            "scale",
            Form::Choice(vec!["linear", "log"]),
            "Whether equal differences or equal ratios are equally likely",
        ),
        field(
            "choices",
            Form::List {
                of: Box::new(value()),
                least: 1,
                most: usize::MAX,
            },
            "The values, instead of low and high",
        ),
        field(
            "when",
            Form::Map(Box::new(Form::Either(vec![
                Form::Flag,
                Form::any(),
                Form::Text,
                Form::list(value()),
            ]))),
            "Varied only if each of these fields has this value, or one of these",
        ),
    ])
}

/// Whether a table within the ranges holds further ranges, as `optimizer.learning_rate = {..}` without quotes makes one.
pub(super) fn is_nested(table: &Map<String, Value>) -> bool {
    !table.is_empty() && !table.contains_key("when") && table.values().all(Value::is_object)
}

/// The ranges by the paths of their fields.
fn flat(table: &Map<String, Value>, path: &str, into: &mut Map<String, Value>) {
    for (name, value) in table {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(inner) if is_nested(inner) => flat(inner, &path, into),
            value => drop(into.insert(path, value.clone())),
        }
    }
}

impl Recipe {
    /// Varies a field in a search: `optimizer.learning_rate=1e-4..1e-1:log`, `batch_size=32,64,128`, or a table as in a recipe,
    /// `optimizer.momentum={low=0.8, high=0.99, when={"optimizer.name"="momentum"}}`.
    ///
    /// ```
    /// use zerokara_train::Recipe;
    /// let mut recipe = Recipe::new();
    /// recipe.vary("optimizer.learning_rate=1e-4..1e-1:log")?;
    /// recipe.vary("batch_size=32,64,128")?;
    /// assert_eq!(recipe.ranges()?.len(), 2);
    /// let wrong = recipe.vary("optimizer.learnig_rate=1..2").unwrap_err().to_string();
    /// assert!(wrong.ends_with("did you mean \"learning_rate\"?"), "{wrong}");
    /// # Ok::<(), zerokara_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such field, or it cannot have these values.
    pub fn vary(&mut self, text: &str) -> Result<()> {
        let said = format!("--vary {text}");
        let wrong = || {
            Error::new(format!(
                "{said}: a field and its range are needed, such as optimizer.learning_rate=1e-4..1e-1:log or batch_size=32,64,128"
            ))
        };
        let (name, range) = text.split_once('=').ok_or_else(wrong)?;
        let (name, range) = (name.trim(), range.trim());
        if name.is_empty() || range.is_empty() {
            return Err(wrong());
        }
        let value = match range.split_once("..") {
            Some((low, rest)) if !range.starts_with(['{', '[', '"']) => {
                let (high, scale) = rest.split_once(':').unwrap_or((rest, "linear"));
                let number = |text: &str| match super::value_of(text.trim()) {
                    value @ Value::Number(_) => Ok(value),
                    _ => Err(wrong()),
                };
                serde_json::json!({"low": number(low)?, "high": number(high)?, "scale": scale.trim()})
            }
            _ => match super::value_of(range) {
                table @ Value::Object(_) => table,
                Value::Array(items) => serde_json::json!({ "choices": items }),
                _ => {
                    let items = range.split(',').map(|item| super::value_of(item.trim()));
                    serde_json::json!({ "choices": items.collect::<Vec<_>>() })
                }
            },
        };
        let mut ranges = self.flat_ranges();
        ranges.insert(name.to_string(), value);
        let before = self.clone();
        let place = Place {
            name: said.clone(),
            value: said.clone(),
        };
        let own = format!("{RANGES}.{name}");
        self.places.retain(|path, _| !path.starts_with(&own));
        self.places.insert(own, place);
        let search = self
            .value
            .entry("search")
            .or_insert_with(|| Value::Object(Map::new()));
        search["ranges"] = ranges.into();
        self.check().inspect_err(|_| *self = before)
    }

    fn flat_ranges(&self) -> Map<String, Value> {
        let mut all = Map::new();
        if let Some(Value::Object(ranges)) = self.get(RANGES) {
            flat(ranges, "", &mut all);
        }
        all
    }

    /// The fields that a search varies, and their ranges.
    ///
    /// # Errors
    /// If one makes no sense, with its place.
    pub fn ranges(&self) -> Result<Vec<Range>> {
        let all = self.flat_ranges();
        all.iter()
            .map(|(name, value)| self.range(name, value).map_err(|fault| self.told(fault)))
            .collect()
    }

    /// What is wrong with the ranges, if something is.
    pub(super) fn check_ranges(&self) -> Result<()> {
        self.ranges().map(|_| ())
    }

    fn range(&self, name: &str, value: &Value) -> Result<Range, Fault> {
        let path = format!("{RANGES}.{name}");
        let fault = |is_name: bool, why: String| Fault {
            path: path.clone(),
            is_name,
            why,
        };
        let steps = steps(&name.replace("[*]", "[0]")).map_err(|why| fault(true, why))?;
        let is_below = |root: &str| name == root || name.starts_with(&format!("{root}."));
        if let Some((root, why)) = SHARED.iter().find(|(root, _)| is_below(root)) {
            return Err(fault(true, format!("{root} cannot be varied: {why}")));
        }
        if name == "epochs"
            && self
                .get("search.method")
                .is_some_and(|method| method == "hyperband")
        {
            let why = "hyperband gives out epochs itself; the recipe's epochs are the most that a trial gets";
            return Err(fault(true, format!("epochs cannot be varied: {why}")));
        }
        let when: Vec<(String, Vec<Value>)> = match value.get("when") {
            Some(Value::Object(when)) => when
                .iter()
                .map(|(field, value)| match value {
                    Value::Array(values) => (field.clone(), values.clone()),
                    value => (field.clone(), vec![value.clone()]),
                })
                .collect(),
            _ => Vec::new(),
        };
        let mut base: Vec<(String, Value)> = Vec::new();
        for (field, values) in &when {
            let first = values.first().ok_or_else(|| {
                fault(
                    false,
                    format!("{name} is varied when {field} has none of no values"),
                )
            })?;
            base.push((field.clone(), first.clone()));
        }
        let is_whole = field_form(&steps).is_some_and(|form| form.is_whole());
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        let values = match (number("low"), number("high"), value.get("choices")) {
            (None, None, Some(Value::Array(choices))) => Values::Choice(choices.clone()),
            (Some(low), Some(high), None) => {
                let log = value.get("scale").is_some_and(|scale| scale == "log");
                if low >= high {
                    return Err(fault(
                        false,
                        format!(
                            "the range of {name} begins at {low} and ends at {high}; low must be smaller than high"
                        ),
                    ));
                }
                if log && low <= 0.0 {
                    return Err(fault(
                        false,
                        format!(
                            "the range of {name} begins at {low}; on a logarithmic scale it must begin above 0"
                        ),
                    ));
                }
                match is_whole {
                    true if low.fract() != 0.0 || high.fract() != 0.0 => {
                        return Err(fault(
                            false,
                            format!(
                                "{name} is a whole number, so its range must begin and end with one"
                            ),
                        ));
                    }
                    true => Values::Whole {
                        low: low as i64,
                        high: high as i64,
                        log,
                    },
                    false => Values::Number { low, high, log },
                }
            }
            _ => {
                return Err(fault(
                    false,
                    format!("the range of {name} needs low and high, or choices"),
                ));
            }
        };
        // Layers that only the data suggest are looked at later.
        let is_of_layers = is_below("model.layers") || name.starts_with("model.layers[");
        if is_of_layers && !self.says("model.layers") {
            return Ok(Range {
                field: name.to_string(),
                values,
                when,
            });
        }
        for value in values.ends() {
            let mut assigned = base.clone();
            assigned.push((name.to_string(), value));
            self.assigned(&assigned).map_err(|inner| {
                match when.iter().find(|(field, _)| inner.path == *field) {
                    Some((field, _)) => Fault {
                        path: format!("{path}.when.{field}"),
                        ..inner
                    },
                    None => fault(inner.is_name, inner.why),
                }
            })?;
        }
        Ok(Range {
            field: name.to_string(),
            values,
            when,
        })
    }

    /// This recipe with these fields set, those that say names first: these bring other settings with them, and what the recipe
    /// says for another name is left out.
    ///
    /// # Errors
    /// If a field cannot have its value.
    pub(crate) fn with(&self, values: &[(String, Value)]) -> Result<Self> {
        self.assigned(values).map_err(|fault| self.told(fault))
    }

    fn assigned(&self, values: &[(String, Value)]) -> Result<Self, Fault> {
        let mut whole = Value::Object(self.value.clone());
        if let Some(fields) = whole.as_object_mut() {
            fields.remove("search");
        }
        let mut ordered: Vec<&(String, Value)> = values.iter().collect();
        ordered.sort_by_key(|(path, _)| !path.ends_with(".name"));
        for (path, value) in ordered {
            let paths = expanded(path, &whole);
            if paths.is_empty() {
                return Err(Fault {
                    path: path.clone(),
                    is_name: true,
                    why: format!("no item has the field of {path}"),
                });
            }
            for path in paths {
                let fault = |why| Fault {
                    path: path.clone(),
                    is_name: false,
                    why,
                };
                let steps = steps(&path).map_err(fault)?;
                put(&mut whole, &steps, value.clone()).map_err(fault)?;
                if let Some(table) = path.strip_suffix(".name") {
                    forget_settings(&mut whole, table, values);
                }
            }
        }
        check(&whole, &recipe(), "")?;
        let Value::Object(value) = whole else {
            return Err(Fault {
                path: String::new(),
                is_name: false,
                why: "a recipe is a table".into(),
            });
        };
        Ok(Self {
            value,
            places: self.places.clone(),
        })
    }
}

/// Takes settings away that what has this name now does not know, unless they are set beside it.
fn forget_settings(whole: &mut Value, table: &str, set: &[(String, Value)]) {
    while let Err(fault) = check(whole, &recipe(), "") {
        let own = fault
            .path
            .strip_prefix(table)
            .and_then(|rest| rest.strip_prefix('.'));
        let is_set = set.iter().any(|(path, _)| *path == fault.path);
        let Some(name) = own.filter(|name| fault.is_name && !is_set && !name.contains(['.', '[']))
        else {
            return;
        };
        let Some(fields) = whole
            .pointer_mut(&format!("/{}", table.replace('.', "/")))
            .and_then(Value::as_object_mut)
        else {
            return;
        };
        if fields.remove(name).is_none() {
            return;
        }
    }
}

/// The paths that one with `[*]` stands for: each item that has what follows.
fn expanded(path: &str, whole: &Value) -> Vec<String> {
    let Some((list, rest)) = path.split_once("[*]") else {
        return vec![path.to_string()];
    };
    let field = rest
        .trim_start_matches('.')
        .split(['.', '['])
        .next()
        .unwrap_or_default();
    let items = whole
        .pointer(&format!("/{}", list.replace('.', "/")))
        .and_then(Value::as_array);
    let items = items.into_iter().flatten().enumerate();
    let having = items.filter(|(_, item)| field.is_empty() || item.get(field).is_some());
    having
        .flat_map(|(at, _)| expanded(&format!("{list}[{at}]{rest}"), whole))
        .collect()
}

impl Values {
    /// The values between which all others lie.
    pub(crate) fn ends(&self) -> Vec<Value> {
        match self {
            Values::Number { low, high, .. } => vec![(*low).into(), (*high).into()],
            Values::Whole { low, high, .. } => vec![(*low).into(), (*high).into()],
            Values::Choice(values) => values.clone(),
        }
    }
}

/// What the field at the end of a path takes, if there is one.
fn field_form(path: &[Step]) -> Option<Form> {
    let mut forms = vec![recipe()];
    for step in path {
        forms = forms.iter().flat_map(|form| below(form, step)).collect();
    }
    // Of several kinds with such a field, the first stands for all.
    forms.into_iter().next()
}

fn below(form: &Form, step: &Step) -> Vec<Form> {
    let named = |fields: &[Field], name: &str| -> Vec<Form> {
        fields
            .iter()
            .filter(|field| field.name == name)
            .map(|field| field.form.clone())
            .collect()
    };
    match (form, step) {
        (Form::Table(fields), Step::Field(name)) => named(fields, name),
        (Form::Named { kinds, .. }, Step::Field(name)) => kinds
            .iter()
            .flat_map(|(_, fields)| named(fields, name))
            .collect(),
        (Form::Map(of), Step::Field(_)) => vec![(**of).clone()],
        (Form::List { of, .. }, Step::Item(_)) => vec![(**of).clone()],
        (Form::Layers, Step::Item(_)) => vec![layers::form()],
        (Form::Either(forms), step) => forms.iter().flat_map(|form| below(form, step)).collect(),
        _ => Vec::new(),
    }
}

impl Form {
    /// Whether its numbers are whole.
    fn is_whole(&self) -> bool {
        match self {
            Form::Whole { .. } => true,
            Form::Either(forms) => {
                let is_real = |form: &Form| matches!(form, Form::Number { .. } | Form::Positive);
                forms.iter().any(Form::is_whole) && !forms.iter().any(is_real)
            }
            _ => false,
        }
    }
}
