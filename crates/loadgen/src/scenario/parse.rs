//! The scenario file. It is walked by hand, because a derived reader stops at the first error.

use super::template::{Braces, Template};
use super::{Problem, Route, Scenario};
use http::{HeaderName, HeaderValue, Method};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const KEYS: [&str; 7] = [
    "body", "expect", "headers", "method", "name", "path", "weight",
];
const ROUTES_MAX: usize = 1000;

pub(super) fn parse(text: &str) -> Result<Scenario, Vec<Problem>> {
    let mut reader = Reader {
        text,
        problems: Vec::new(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.problem(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    // What recovery made of a broken file would only mislead.
    let routes = if errors.is_empty() {
        reader.document(document.get_ref())
    } else {
        Vec::new()
    };
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.is_empty() {
        Ok(Scenario::new(routes))
    } else {
        Err(problems)
    }
}

struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

type Value<'t> = Spanned<DeValue<'t>>;

impl Reader<'_> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.problems.push(Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        });
    }

    fn document(&mut self, document: &DeTable<'_>) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for (key, value) in document {
            if key.get_ref() != "route" {
                let message = format!(
                    "unknown key \"{}\"; a scenario is a list of [[route]]",
                    key.get_ref()
                );
                self.problem(key.span(), message);
                continue;
            }
            let Some(tables) = value.get_ref().as_array() else {
                self.problem(value.span(), "must be a list of tables: write [[route]]");
                continue;
            };
            for table in tables {
                let Some(fields) = table.get_ref().as_table() else {
                    self.problem(table.span(), "must be a table: write [[route]]");
                    continue;
                };
                let Some(route) = self.route(table.span(), fields) else {
                    continue;
                };
                if routes.iter().any(|other| other.name == route.name) {
                    let message = format!(
                        "another route is named \"{}\" already; give it a name of its own",
                        route.name
                    );
                    self.problem(table.span(), message);
                }
                routes.push(route);
            }
        }
        if routes.is_empty() && self.problems.is_empty() {
            self.problem(0..0, "there is no route; write [[route]] with a path");
        }
        if routes.len() > ROUTES_MAX {
            self.problem(
                0..0,
                format!("at most {ROUTES_MAX} routes can be told apart"),
            );
        }
        routes
    }

    fn route(&mut self, span: Range<usize>, fields: &DeTable<'_>) -> Option<Route> {
        let problems_before = self.problems.len();
        for key in fields.keys() {
            if !KEYS.contains(&key.get_ref().as_ref()) {
                let message = format!(
                    "unknown key \"{}\"; a route has {}",
                    key.get_ref(),
                    KEYS.join(", ")
                );
                self.problem(key.span(), message);
            }
        }
        let method = fields.get("method").and_then(|v| self.method(v));
        let path = match fields.get("path") {
            Some(value) => self.path(value),
            None => {
                self.problem(span, "this route has no path");
                None
            }
        };
        let name = fields
            .get("name")
            .and_then(|v| self.string(v))
            .map(str::to_owned);
        let headers = fields
            .get("headers")
            .map(|v| self.headers(v))
            .unwrap_or_default();
        let body = fields
            .get("body")
            .and_then(|v| self.template(v, Braces::Literal));
        let weight = fields.get("weight").and_then(|v| self.weight(v));
        let expect = fields
            .get("expect")
            .map(|v| self.expect(v))
            .unwrap_or_default();
        if self.problems.len() > problems_before {
            return None;
        }
        let method = method.unwrap_or(Method::GET);
        let (path_text, path) = path?;
        Some(Route {
            name: name.unwrap_or_else(|| format!("{method} {path_text}")),
            method,
            path,
            headers,
            body,
            weight: weight.unwrap_or(1.0),
            expect,
        })
    }

    fn string<'v>(&mut self, value: &'v Value<'_>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.problem(
                value.span(),
                format!("must be a string, not {}", value.get_ref().type_str()),
            );
        }
        text
    }

    fn template(&mut self, value: &Value<'_>, braces: Braces) -> Option<Template> {
        let text = self.string(value)?;
        Template::parse(text, braces)
            .map_err(|message| self.problem(value.span(), message))
            .ok()
    }

    fn method(&mut self, value: &Value<'_>) -> Option<Method> {
        let text = self.string(value)?;
        match text.to_ascii_uppercase().parse() {
            Ok(Method::CONNECT) | Err(_) => {
                self.problem(
                    value.span(),
                    format!("\"{text}\" is no method that can be used here"),
                );
                None
            }
            Ok(method) => Some(method),
        }
    }

    fn path(&mut self, value: &Value<'_>) -> Option<(String, Template)> {
        let text = self.string(value)?;
        if !text.starts_with('/') {
            self.problem(value.span(), "a path begins with a slash");
            return None;
        }
        let template = self.template(value, Braces::Refused)?;
        for part in template.texts() {
            let sound = part
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b));
            if !sound {
                self.problem(
                    value.span(),
                    format!("\"{part}\" must be percent-encoded to stand in a path"),
                );
                return None;
            }
        }
        Some((text.to_owned(), template))
    }

    fn headers(&mut self, value: &Value<'_>) -> Vec<(HeaderName, Template)> {
        let Some(table) = value.get_ref().as_table() else {
            self.problem(value.span(), "must be a table of header names and values");
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().parse::<HeaderName>();
            let Some(template) = self.template(value, Braces::Literal) else {
                continue;
            };
            match name {
                Err(_) => self.problem(
                    key.span(),
                    format!("\"{}\" is no header name", key.get_ref()),
                ),
                Ok(name) if FRAMING.contains(&name.as_str()) => {
                    self.problem(key.span(), format!("{name} is set by the load generator"));
                }
                Ok(_)
                    if template
                        .texts()
                        .any(|part| HeaderValue::from_str(part).is_err()) =>
                {
                    self.problem(
                        value.span(),
                        "a header value has visible characters and spaces only",
                    );
                }
                Ok(name) => headers.push((name, template)),
            }
        }
        headers
    }

    fn weight(&mut self, value: &Value<'_>) -> Option<f64> {
        let weight = match value.get_ref() {
            DeValue::Integer(_) => self.integer(value).map(|n| n as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        if !weight.is_some_and(|w| w > 0.0 && w <= 1e9) {
            self.problem(
                value.span(),
                "a weight is a number above 0 and at most a billion",
            );
            return None;
        }
        weight
    }

    fn expect(&mut self, value: &Value<'_>) -> Vec<u16> {
        let Some(array) = value.get_ref().as_array() else {
            self.problem(
                value.span(),
                "must be a list of statuses such as [404, 409]",
            );
            return Vec::new();
        };
        let mut statuses = Vec::new();
        for status in array {
            match self.integer(status).and_then(|n| u16::try_from(n).ok()) {
                Some(n @ 400..=599) => statuses.push(n),
                _ => self.problem(
                    status.span(),
                    "only statuses from 400 to 599 need to be expected",
                ),
            }
        }
        statuses
    }

    fn integer(&self, value: &Value<'_>) -> Option<i64> {
        let integer = value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }
}

/// Headers that say where a message ends or to whom it goes.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];
