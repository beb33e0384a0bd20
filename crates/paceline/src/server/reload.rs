//! Another configuration while everything runs: read and checked as a whole, then applied, or nothing is.

use std::sync::Arc;

use paceline_listen::{Control, Effect, Reloaded, Setting};
use paceline_pgproxy::Proxy;
use tracing::{error, info, warn};

use super::log::LevelSwitch;
use crate::config::{Config, Effective, Loaded, Problem, Severity, is_reloadable};

/// Reads the configuration once more, from where it was read at the start.
pub(crate) type Load = Box<dyn Fn() -> Loaded>;

/// What is needed to apply another configuration.
pub(super) struct Reloader {
    pub(super) load: Load,
    /// Every key as it is in effect.
    pub(super) settings: Vec<Effective>,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) level: LevelSwitch,
    pub(super) control: Control,
}

impl Reloader {
    /// Tells whoever wants to know what the keys are.
    pub(super) fn publish(&self) {
        let defaults = Effective::defaults();
        let default_of = |key: &str| {
            let found = defaults.iter().find(|setting| setting.key == key);
            found.and_then(|setting| setting.value.clone())
        };
        let setting = |effective: &Effective| Setting {
            key: effective.key.clone(),
            value: effective.value.clone(),
            default: default_of(&effective.key),
            reloadable: is_reloadable(&effective.key),
        };
        let settings = self.settings.iter().map(setting).collect();
        self.control.set_settings(settings);
    }

    /// Does it, logs what came of it, and says so. `config` is what the process goes on with.
    pub(super) fn reload(&mut self, config: &mut Config) -> Reloaded {
        let outcome = self.try_reload(config);
        match &outcome {
            Ok(effect) => {
                for warning in &effect.warnings {
                    warn!("{warning}");
                }
                let (changed, restart) =
                    (effect.changed.join(", "), effect.need_restart.join(", "));
                info!(
                    changed,
                    need_restart = restart,
                    "The configuration was read again."
                );
            }
            Err(problems) => {
                for problem in problems {
                    error!("{problem}");
                }
                error!("The configuration is wrong; everything is as it was.");
            }
        }
        outcome
    }

    fn try_reload(&mut self, config: &mut Config) -> Reloaded {
        let loaded = (self.load)();
        let (errors, warnings): (Vec<&Problem>, Vec<_>) = loaded
            .problems
            .iter()
            .partition(|problem| problem.severity == Severity::Error);
        let texts = |problems: Vec<&Problem>| problems.iter().map(ToString::to_string).collect();
        let Some(new) = loaded.config else {
            return Err(texts(errors));
        };
        let mut effect = Effect {
            warnings: texts(warnings),
            ..Effect::default()
        };
        match (&self.proxy, &new.postgres) {
            (Some(proxy), Some(postgres)) => {
                let mut postgres = postgres.clone();
                postgres.workers = proxy.config().workers;
                let changes = proxy
                    .reload(postgres)
                    .map_err(|error| vec![error.to_string()])?;
                effect
                    .changed
                    .extend(changes.changed.iter().map(|pool| format!("pool {pool}")));
            }
            (None, Some(_)) => effect.need_restart.push("postgres.url".to_owned()),
            (_, None) => {}
        }
        self.level.set(new.log.level);
        for key in differences(&self.settings, &loaded.settings) {
            if is_reloadable(&key) {
                effect.changed.push(key);
            } else {
                effect.need_restart.push(key);
            }
        }
        config.drain_delay = new.drain_delay;
        config.drain_timeout = new.drain_timeout;
        config.handover_timeout = new.handover_timeout;
        self.settings = self.in_effect(loaded.settings);
        self.publish();
        Ok(effect)
    }

    /// The new values, except for the keys that stay as they are until the next start.
    fn in_effect(&self, new: Vec<Effective>) -> Vec<Effective> {
        let kept = |setting: Effective| {
            if is_reloadable(&setting.key) {
                return setting;
            }
            let old = self.settings.iter().find(|old| old.key == setting.key);
            old.cloned().unwrap_or(setting)
        };
        new.into_iter().map(kept).collect()
    }
}

/// The keys whose values differ, those that only one side has among them.
fn differences(old: &[Effective], new: &[Effective]) -> Vec<String> {
    let differs = |one: &&Effective, others: &[Effective]| {
        let other = others.iter().find(|other| other.key == one.key);
        other.is_none_or(|other| other.value != one.value)
    };
    let changed = new.iter().filter(|setting| differs(setting, old));
    let gone = old
        .iter()
        .filter(|setting| !new.iter().any(|other| other.key == setting.key));
    changed
        .chain(gone)
        .map(|setting| setting.key.clone())
        .collect()
}
