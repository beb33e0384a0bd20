//! What to ask: weighted routes, whose paths, headers and bodies may contain generated values.

mod parse;
mod template;
#[cfg(test)]
mod tests;

use crate::Error;
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use template::Template;

/// Weighted routes.
///
/// As a file it is a list of `[[route]]` tables with these keys:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `path` | what is asked for, query included | must be there |
/// | `method` | | `GET` |
/// | `name` | how the report and thresholds name the route | method and path |
/// | `weight` | how often it is drawn, relative to the others | 1 |
/// | `headers` | a table of header names and values | none |
/// | `body` | text to send | none |
/// | `expect` | statuses from 400 on that count as success | none |
///
/// Paths, header values and bodies may contain generators: `{1..100}` draws an integer (both ends
/// included), `{pick:a|b|c}` one of the words, `{hex:16}` as many hexadecimal digits, and `{seq}`
/// counts the requests of the run. Any other brace in a path is refused; in a header or a body it
/// stands for itself.
#[derive(Debug, Clone)]
pub struct Scenario {
    routes: Vec<Route>,
    /// Running sums of the weights.
    cumulative: Vec<f64>,
}

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Route {
    name: String,
    method: Method,
    path: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    weight: f64,
    expect: Vec<u16>,
}

/// One thing that is wrong with a scenario, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and where possible what would be right.
    pub message: String,
}

/// A request that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The route's place in [`Scenario::routes`].
    pub route: usize,
    /// How to ask.
    pub method: Method,
    /// What for: path and query.
    pub path: String,
    /// Headers of the scenario.
    pub headers: HeaderMap,
    /// The body, perhaps empty.
    pub body: Bytes,
}

/// Draws requests from a scenario. Equal seeds draw equal requests.
#[derive(Debug, Clone)]
pub struct Sampler<'s> {
    scenario: &'s Scenario,
    rng: Rng,
    drawn: u64,
    step: u64,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`Error::Scenario`] with every problem in the text.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        parse::parse(text).map_err(Error::Scenario)
    }

    /// The routes in the order of the file.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The same scenario with only those routes for which `keep` is true; `None` when there are
    /// none.
    #[must_use]
    pub fn filter(&self, keep: impl FnMut(&&Route) -> bool) -> Option<Self> {
        let routes: Vec<Route> = self.routes.iter().filter(keep).cloned().collect();
        (!routes.is_empty()).then(|| Self::new(routes))
    }

    /// Draws requests.
    pub fn sampler(&self, seed: u64) -> Sampler<'_> {
        self.sampler_share(seed, 0, 1)
    }

    /// The sampler of one of several that share a run: `{seq}` never repeats among them.
    pub(crate) fn sampler_share(&self, seed: u64, index: usize, of: usize) -> Sampler<'_> {
        // Neighbouring seeds must not make neighbouring streams, hence the odd constant (2^64 /
        // golden ratio).
        let seed = seed.wrapping_add((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Sampler {
            scenario: self,
            rng: Rng::with_seed(seed),
            drawn: index as u64,
            step: of as u64,
        }
    }

    fn new(routes: Vec<Route>) -> Self {
        let cumulative = routes
            .iter()
            .scan(0.0, |sum, route| {
                *sum += route.weight;
                Some(*sum)
            })
            .collect();
        Self { routes, cumulative }
    }
}

impl Route {
    /// How the report names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is asked for.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its share of the requests is its weight among all weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Whether an answer with this status is a success.
    pub fn accepts(&self, status: u16) -> bool {
        status < 400 || self.expect.contains(&status)
    }
}

impl Sample {
    /// A plain GET, of no route in particular.
    pub fn get(path: &str) -> Self {
        Self {
            route: 0,
            method: Method::GET,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Sampler<'_> {
    /// The next request.
    pub fn sample(&mut self) -> Sample {
        let route = self.draw_route();
        self.sample_of(route)
    }

    /// The next request, of this route.
    ///
    /// # Panics
    /// When the scenario has no such route.
    pub fn sample_of(&mut self, route: usize) -> Sample {
        let sequence = self.drawn;
        self.drawn += self.step;
        let Self { scenario, rng, .. } = self;
        let drawn = &scenario.routes[route];
        let mut headers = HeaderMap::with_capacity(drawn.headers.len());
        for (name, template) in &drawn.headers {
            // Each part was checked to be a header value when the file was read, so the whole is
            // one.
            if let Ok(value) = HeaderValue::from_str(&template.generate(rng, sequence)) {
                headers.append(name.clone(), value);
            }
        }
        Sample {
            route,
            method: drawn.method.clone(),
            path: drawn.path.generate(rng, sequence),
            headers,
            body: drawn
                .body
                .as_ref()
                .map_or_else(Bytes::new, |b| b.generate(rng, sequence).into()),
        }
    }

    fn draw_route(&mut self) -> usize {
        let cumulative = &self.scenario.cumulative;
        let total = cumulative.last().copied().unwrap_or_default();
        let at = self.rng.f64() * total;
        cumulative
            .partition_point(|sum| *sum <= at)
            .min(cumulative.len() - 1)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}
