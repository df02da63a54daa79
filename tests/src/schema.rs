//! Holds every JSON report of the tests to the schema that the repository publishes.

use std::{fs, path::Path, sync::OnceLock};

use jsonschema::Validator;
use serde_json::Value;

/// Requires a report to be what `docs/report.schema.json` says, and to have no field that
/// it does not know.
#[track_caller]
pub(crate) fn check(report: &Value) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
        let text = fs::read_to_string(path).expect("the schema is in the repository");
        let mut schema = serde_json::from_str(&text).expect("it is JSON");
        close(&mut schema);
        jsonschema::draft202012::new(&schema).expect("it is a schema")
    });
    let errors: Vec<String> = validator
        .iter_errors(report)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Others may meet fields that the schema does not know; the tests may not.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
