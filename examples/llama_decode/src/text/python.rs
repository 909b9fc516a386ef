//! What chat templates expect of the Python program that they are written for.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Adds the functions, filters and methods of strings, lists and maps.
pub(super) fn teach(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| {
        jiff::fmt::strtime::format(format, &jiff::Zoned::now()).map_err(invalid)
    });
    environment.add_filter("tojson", tojson);
    // Nothing at all is neither, to Python; text is both.
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("sequence", |value: &Value| {
        let sequences = [ValueKind::Seq, ValueKind::Map, ValueKind::String];
        value.is_undefined() || sequences.contains(&value.kind())
    });
}

/// Templates mark what the model itself said as `generation`, for whoever trains on it. To everybody
/// else that is a block whose variables are its own, which `with` is too.
pub(super) fn without_marks(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let tag =
            rest[at + 2..].trim_start_matches(|c: char| "-+".contains(c) || c.is_whitespace());
        let (before, tag) = rest.split_at(rest.len() - tag.len());
        text.push_str(before);
        let name = tag.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        text.push_str(match name {
            "generation" => "with",
            "endgeneration" => "endwith",
            other => other,
        });
        rest = &tag[name.len()..];
    }
    text + rest
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.to_string())
}

/// JSON as Python writes it: blanks after commas and colons, and nothing escaped for web pages.
fn tojson(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted and without effect: characters are written as they are.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut json = Vec::new();
    match indent {
        // More than anyone writes; a template must not ask for gigabytes.
        Some(width) => {
            let blanks = " ".repeat(width.min(16));
            let pretty = PrettyFormatter::with_indent(blanks.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut json, pretty))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut json, OneLine)),
    }
    .map_err(invalid)?;
    String::from_utf8(json).map(Value::from_safe_string).map_err(invalid)
}

/// `{"a": 1, "b": [2, 3]}`
struct OneLine;

impl OneLine {
    fn separate<W: Write + ?Sized>(out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
}

impl Formatter for OneLine {
    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        OneLine::separate(out, first)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        OneLine::separate(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
