//! The limits.

use super::{Graded, Level};
use crate::bootstrap::{Estimate, requests_to_prove};

pub(super) const LEVELS: [Level; 3] = [Level::Bronze, Level::Silver, Level::Gold];

/// One thing that a level asks for.
pub(super) struct Criterion {
    pub(super) quantity: Quantity,
    /// For Bronze, Silver, Gold.
    pub(super) limits: [f64; 3],
}

/// A limit beyond which a service needs attention now.
pub(super) struct Critical {
    quantity: Quantity,
    limit: f64,
}

/// Something that was measured.
pub(super) struct Quantity {
    pub(super) name: &'static str,
    /// As people call it.
    title: &'static str,
    better: Better,
    unit: Unit,
    pub(super) measured: fn(&Graded<'_>) -> Option<Estimate>,
}

#[derive(Clone, Copy, PartialEq)]
enum Better {
    Below,
    Above,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Milliseconds,
    Share,
    PerSecond,
}

const P50: Quantity = Quantity {
    name: "p50_ms",
    title: "p50",
    better: Better::Below,
    unit: Unit::Milliseconds,
    measured: |graded| graded.intervals.p50_ms,
};
const P95: Quantity = Quantity {
    name: "p95_ms",
    title: "p95",
    better: Better::Below,
    unit: Unit::Milliseconds,
    measured: |graded| graded.intervals.p95_ms,
};
const P99: Quantity = Quantity {
    name: "p99_ms",
    title: "p99",
    better: Better::Below,
    unit: Unit::Milliseconds,
    measured: |graded| graded.intervals.p99_ms,
};
const ERRORS: Quantity = Quantity {
    name: "error_rate",
    title: "errors",
    better: Better::Below,
    unit: Unit::Share,
    measured: |graded| graded.intervals.error_rate,
};
const HIT_RATE: Quantity = Quantity {
    name: "hit_rate",
    title: "hit rate",
    better: Better::Above,
    unit: Unit::Share,
    measured: |graded| graded.evidence.hit_rate,
};
const AVAILABILITY: Quantity = Quantity {
    name: "availability",
    title: "availability",
    better: Better::Above,
    unit: Unit::Share,
    measured: |graded| graded.intervals.availability,
};
const THROUGHPUT: Quantity = Quantity {
    name: "requests_per_s",
    title: "throughput",
    better: Better::Above,
    unit: Unit::PerSecond,
    measured: |graded| {
        let instances = f64::from(graded.evidence.instances.max(1));
        graded.intervals.requests_per_s.map(|all| Estimate {
            value: all.value / instances,
            low: all.low / instances,
            high: all.high / instances,
        })
    },
};

pub(super) const CRITERIA: [Criterion; 5] = [
    Criterion {
        quantity: P95,
        limits: [500.0, 200.0, 100.0],
    },
    Criterion {
        quantity: ERRORS,
        limits: [0.01, 0.001, 0.0001],
    },
    Criterion {
        quantity: HIT_RATE,
        limits: [0.8, 0.9, 0.95],
    },
    Criterion {
        quantity: AVAILABILITY,
        limits: [0.99, 0.999, 0.9999],
    },
    Criterion {
        quantity: THROUGHPUT,
        limits: [100.0, 500.0, 1000.0],
    },
];

pub(super) const CRITICAL: [Critical; 6] = [
    Critical {
        quantity: P50,
        limit: 100.0,
    },
    Critical {
        quantity: P95,
        limit: 500.0,
    },
    Critical {
        quantity: P99,
        limit: 1000.0,
    },
    Critical {
        quantity: ERRORS,
        limit: 0.01,
    },
    Critical {
        quantity: AVAILABILITY,
        limit: 0.99,
    },
    Critical {
        quantity: HIT_RATE,
        limit: 0.6,
    },
];

impl Criterion {
    /// The highest level whose limit the worse bound keeps.
    pub(super) fn level(&self, measured: &Estimate) -> Option<Level> {
        let worse = self.quantity.worse(measured);
        let kept = |(_, limit): &(Level, f64)| self.quantity.keeps(worse, *limit);
        let levels = LEVELS.into_iter().zip(self.limits);
        levels.rev().find(kept).map(|(level, _)| level)
    }

    /// Why a level is not reached, as a sentence.
    pub(super) fn missing(&self, graded: &Graded<'_>, level: Level) -> String {
        let Quantity {
            title,
            better,
            unit,
            measured,
            ..
        } = &self.quantity;
        let limit = self.limits[level as usize];
        let wanted = match better {
            Better::Below => format!("{level} asks for less than {}", unit.show(limit)),
            Better::Above => format!("{level} asks for more than {}", unit.show(limit)),
        };
        let Some(measured) = measured(graded) else {
            return format!("{title}: {wanted}; too few requests to tell, measure longer");
        };
        let value = unit.show(measured.value);
        let offered = graded.offered.filter(|_| *unit == Unit::PerSecond);
        if let Some(offered) = offered.filter(|offered| *offered < limit * 1.05) {
            let offered = unit.show(offered);
            return format!("{title}: {wanted}, and only {offered} were sent; raise the rate");
        }
        if !self.quantity.keeps(measured.value, limit) {
            return format!("{title}: {value}, {wanted}");
        }
        let worse = unit.show(self.quantity.worse(&measured));
        let bound = match better {
            Better::Below => "may be as high as",
            Better::Above => "may be as low as",
        };
        let share = limit.min(1.0 - limit);
        let needed = requests_to_prove(share);
        // Without any fault only more requests can prove more.
        let is_faultless = *unit == Unit::Share && (measured.value == 0.0 || measured.value == 1.0);
        let prove = if is_faultless && graded.requests < needed {
            let sent = graded.requests;
            format!("{sent} requests cannot prove it, {needed} without a fault would")
        } else {
            "measure longer to tell".to_owned()
        };
        format!("{title}: {value}, but {bound} {worse}; {wanted}; {prove}")
    }
}

impl Critical {
    /// A sentence when even the better bound lies beyond the limit.
    pub(super) fn sentence(&self, graded: &Graded<'_>) -> Option<String> {
        let Quantity {
            title,
            better,
            unit,
            measured,
            ..
        } = &self.quantity;
        let measured = measured(graded)?;
        let (best, is_beyond) = match better {
            Better::Below => (measured.low, measured.low > self.limit),
            Better::Above => (measured.high, measured.high < self.limit),
        };
        is_beyond.then(|| {
            let (value, limit, best) = (measured.value, self.limit, best);
            let (value, limit, best) = (unit.show(value), unit.show(limit), unit.show(best));
            format!("{title} at {value} (at best {best}), critical from {limit} on")
        })
    }
}

impl Quantity {
    /// The bound at which it is worse.
    fn worse(&self, estimate: &Estimate) -> f64 {
        match self.better {
            Better::Below => estimate.high,
            Better::Above => estimate.low,
        }
    }

    fn keeps(&self, value: f64, limit: f64) -> bool {
        match self.better {
            Better::Below => value < limit,
            Better::Above => value > limit,
        }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::PerSecond => format!("{value:.0} requests/s"),
            Self::Share => {
                // As many digits as the strictest limit has, and no zeros behind them.
                let text = format!("{:.3}", value * 100.0);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                format!("{text} %")
            }
        }
    }
}
