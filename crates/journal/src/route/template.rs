//! Route templates from the configuration.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::METHODS;
use crate::Error;

/// Bytes of a template.
const BYTES_MAX: usize = 200;

/// A route as the application defines it: `/jobs/{id}`, `GET /jobs/{id}`, `/static/*`.
///
/// A segment is taken literally, or as a parameter when it stands in braces; `*` at the end takes all
/// that is left, at least one segment. Without a method it stands for each of them. Of several that
/// fit a path, the most specific wins: from the left, a literal before a parameter before `*`; then
/// one with a method before one without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteTemplate {
    method: Option<&'static str>,
    path: Box<str>,
}

impl RouteTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`Error::Template`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Template {
            template: text.to_owned(),
            reason,
        };
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => {
                let known = METHODS.iter().find(|known| **known == method);
                (
                    Some(*known.ok_or_else(|| refuse("the method is not one of HTTP's"))?),
                    path,
                )
            }
            None => (None, text),
        };
        match check(path) {
            Ok(()) => Ok(Self {
                method,
                path: path.into(),
            }),
            Err(reason) => Err(refuse(reason)),
        }
    }

    /// The path, with its parameters.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The method, if it is for one only.
    pub fn method(&self) -> Option<&str> {
        self.method
    }
}

impl FromStr for RouteTemplate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for RouteTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = self.method {
            write!(f, "{method} ")?;
        }
        f.write_str(&self.path)
    }
}

fn check(path: &str) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix('/') else {
        return Err("it must begin with '/'");
    };
    if path.len() > BYTES_MAX {
        return Err("it is longer than 200 bytes");
    }
    if path.contains(['?', '#']) {
        return Err("a query is never part of a route");
    }
    if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it contains white space");
    }
    let count = segments.split('/').count();
    for (at, segment) in segments.split('/').enumerate() {
        check_segment(segment, at + 1 == count)?;
    }
    Ok(())
}

fn check_segment(segment: &str, is_last: bool) -> Result<(), &'static str> {
    if segment == "*" {
        return if is_last {
            Ok(())
        } else {
            Err("'*' is allowed at the end only")
        };
    }
    if let Some(name) = parameter(segment) {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let valid = !name.is_empty() && name.chars().all(fits);
        return if valid {
            Ok(())
        } else {
            Err("a parameter needs a plain name: '{id}'")
        };
    }
    if segment.contains(['{', '}', '*']) {
        return Err("a parameter must be a whole segment");
    }
    Ok(())
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The configured templates, arranged by segments.
#[derive(Debug, Default)]
pub(super) struct Templates {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    /// A template ends here, or takes all that is left.
    ends: Names,
    rest: Names,
}

/// The routes of one path: by method, each with its full name `GET /jobs/{id}`.
#[derive(Debug, Default)]
struct Names {
    by_method: Vec<(&'static str, Arc<str>)>,
}

impl Templates {
    pub(super) fn new(templates: &[RouteTemplate]) -> Self {
        let mut all = Self::default();
        // With a method first: the first that claims a method for a path keeps it.
        let (with, without): (Vec<_>, Vec<_>) = templates
            .iter()
            .partition(|template| template.method.is_some());
        for template in with.into_iter().chain(without) {
            all.insert(template);
        }
        all
    }

    /// The full name of the most specific route.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<Arc<str>> {
        let segments = path.strip_prefix('/')?;
        self.root.find(method, Some(segments))
    }

    fn insert(&mut self, template: &RouteTemplate) {
        let mut node = &mut self.root;
        for segment in template.path[1..].split('/') {
            if segment == "*" {
                return node.rest.claim(template);
            }
            node = match parameter(segment) {
                Some(_) => node.parameter.get_or_insert_default(),
                None => node.literals.entry(segment.into()).or_default(),
            };
        }
        node.ends.claim(template);
    }
}

impl Node {
    /// Walks literals first, then the parameter, then `*`, and comes back where a way leads nowhere.
    /// It visits each node at most once per path, so hostile paths cost no more than templates do.
    fn find(&self, method: &str, left: Option<&str>) -> Option<Arc<str>> {
        let Some(left) = left else {
            return self.ends.get(method);
        };
        let (segment, next) = match left.split_once('/') {
            Some((segment, next)) => (segment, Some(next)),
            None => (left, None),
        };
        let literal = self
            .literals
            .get(segment)
            .and_then(|node| node.find(method, next));
        let by_parameter = || {
            let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
            node.find(method, next)
        };
        literal
            .or_else(by_parameter)
            .or_else(|| self.rest.get(method))
    }
}

impl Names {
    fn claim(&mut self, template: &RouteTemplate) {
        for method in METHODS {
            let meant = template.method.is_none_or(|only| only == method);
            if meant && self.get(method).is_none() {
                self.by_method
                    .push((method, format!("{method} {}", template.path).into()));
            }
        }
    }

    fn get(&self, method: &str) -> Option<Arc<str>> {
        let entry = self.by_method.iter().find(|(known, _)| *known == method);
        entry.map(|(_, name)| Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_template_wins() {
        let templates = [
            "/jobs",
            "/jobs/{id}",
            "/jobs/latest",
            "GET /jobs/{id}/applications",
            "/jobs/{id}/{relation}",
            "/jobs/*",
            "/static/*",
            "POST /{tenant}/jobs",
            "/",
        ]
        .map(|text| RouteTemplate::parse(text).unwrap());
        let templates = Templates::new(&templates);
        let rows = [
            ("GET", "/jobs", Some("GET /jobs")),
            ("GET", "/jobs/7", Some("GET /jobs/{id}")),
            ("DELETE", "/jobs/7", Some("DELETE /jobs/{id}")),
            ("GET", "/jobs/latest", Some("GET /jobs/latest")),
            (
                "GET",
                "/jobs/7/applications",
                Some("GET /jobs/{id}/applications"),
            ),
            (
                "POST",
                "/jobs/7/applications",
                Some("POST /jobs/{id}/{relation}"),
            ),
            (
                "GET",
                "/jobs/latest/skills",
                Some("GET /jobs/{id}/{relation}"),
            ),
            ("GET", "/jobs/7/a/b/c", Some("GET /jobs/*")),
            ("GET", "/jobs/", Some("GET /jobs/*")),
            ("GET", "/static/css/site.css", Some("GET /static/*")),
            ("GET", "/static", None),
            ("POST", "/acme/jobs", Some("POST /{tenant}/jobs")),
            ("GET", "/acme/jobs", None),
            ("GET", "/", Some("GET /")),
            ("GET", "/other", None),
            ("GET", "*", None),
        ];
        for (method, path, expected) in rows {
            assert_eq!(
                templates.find(method, path).as_deref(),
                expected,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn wrong_templates_are_refused_with_the_reason() {
        let rows = [
            ("jobs", "begin with"),
            ("", "begin with"),
            ("/jobs?x=1", "query"),
            ("/jobs/{id", "whole segment"),
            ("/jobs/{}", "plain name"),
            ("/jobs/{id}.json", "whole segment"),
            ("/a/*/b", "end only"),
            ("FETCH /jobs", "method"),
            ("get /jobs", "method"),
            ("GET  /jobs", "begin with"),
            ("/a b", "method"),
        ];
        for (text, reason) in rows {
            let error = RouteTemplate::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(RouteTemplate::parse(&format!("/{}", "x".repeat(BYTES_MAX))).is_err());
    }

    #[test]
    fn templates_show_as_they_were_written() {
        for text in ["/jobs/{id}", "GET /jobs/{id}", "/static/*", "/"] {
            assert_eq!(RouteTemplate::parse(text).unwrap().to_string(), text);
        }
    }
}
