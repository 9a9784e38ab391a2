//! The JSON schema of recipes, by which editors complete and check them.

use super::fields::{Field, Form};
use serde_json::{Map, Value, json};

/// The schema of a whole recipe.
pub(super) fn schema(form: &Form) -> Value {
    let mut schema = of(form);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Zerokara recipe".into();
    schema["description"] = "What a training run is to do".into();
    // A residual block holds layers, which may be residual blocks.
    schema["$defs"] = json!({ LAYER: of(&super::layers::form()) });
    schema
}

/// The name of the definition of a layer.
const LAYER: &str = "layer";

fn of(form: &Form) -> Value {
    match form {
        Form::Flag => json!({"type": "boolean"}),
        Form::Whole { least, most } => {
            let mut schema = json!({"type": "integer", "minimum": least});
            if *most < u64::MAX {
                schema["maximum"] = (*most).into();
            }
            schema
        }
        Form::Number { least, most } => {
            let mut schema = json!({"type": "number"});
            for (name, bound) in [("minimum", least), ("maximum", most)] {
                if bound.is_finite() {
                    schema[name] = (*bound).into();
                }
            }
            schema
        }
        Form::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
        Form::Text => json!({"type": "string"}),
        Form::Choice(names) => json!({"enum": names}),
        Form::List {
            of: item,
            least,
            most,
        } => {
            let mut schema = json!({"type": "array", "items": of(item)});
            if *least > 0 {
                schema["minItems"] = (*least).into();
            }
            if *most < usize::MAX {
                schema["maxItems"] = (*most).into();
            }
            schema
        }
        Form::Layers => json!({"type": "array", "items": {"$ref": format!("#/$defs/{LAYER}")}}),
        Form::Map(item) => json!({"type": "object", "additionalProperties": of(item)}),
        Form::Ranges(range) => {
            let range = of(range);
            let nested = json!({"type": "object", "additionalProperties": range});
            json!({"type": "object", "additionalProperties": {"anyOf": [range, nested]}})
        }
        Form::Table(fields) => table(fields, None),
        Form::Named { key, kinds } => {
            let kinds = kinds
                .iter()
                .map(|(name, fields)| table(fields, Some((*key, *name))));
            json!({"oneOf": kinds.collect::<Vec<_>>()})
        }
        Form::Either(forms) => json!({"anyOf": forms.iter().map(of).collect::<Vec<_>>()}),
    }
}

fn table(fields: &[Field], named: Option<(&str, &str)>) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = of(&field.form);
        schema["description"] = field.about.into();
        properties.insert(field.name.to_string(), schema);
    }
    let mut schema = json!({"type": "object", "additionalProperties": false});
    if let Some((key, name)) = named {
        properties.insert(key.to_string(), json!({"const": name}));
        schema["required"] = json!([key]);
    }
    schema["properties"] = properties.into();
    schema
}
