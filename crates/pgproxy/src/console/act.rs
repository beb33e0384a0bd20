//! Commands that change something.

use std::sync::Arc;
use std::time::Duration;

use paceline_listen::Leave;

use super::command::Shutdown;
use crate::databases::Target;
use crate::error::Refusal;
use crate::proxy::Proxy;

/// How often it is looked whether what a command waits for has come.
const LOOK: Duration = Duration::from_millis(10);

/// What a command has led to.
pub(super) type Done = Result<(), Refusal>;

/// Nobody gets a server connection any more; waits until all are back, and closed.
pub(super) async fn pause(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    if !proxy.databases.hold(database) {
        return Err(Refusal::console("already paused"));
    }
    tracing::info!(
        database,
        "PAUSE: transactions come to their end, then nobody gets a server connection."
    );
    let is_left = |target: &Arc<Target>| !target.pool.has_no_connection();
    while of(proxy, database).iter().any(is_left) {
        // Whoever has resumed meanwhile did not wait for us.
        if !proxy.databases.is_held(database) {
            return Err(Refusal::console(
                "resumed before all server connections were back",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

pub(super) fn resume(proxy: &Proxy, database: Option<&str>) -> Done {
    if !proxy.databases.release(database) {
        known(proxy, database)?;
        return Err(Refusal::console(match database {
            None => "nothing is paused".to_owned(),
            Some(name) => format!("database {name:?} is not paused"),
        }));
    }
    tracing::info!(database, "RESUME.");
    Ok(())
}

/// Server connections are replaced as they come back.
pub(super) fn reconnect(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    proxy.means.roster.outdate();
    for target in of(proxy, database) {
        target.reconnect();
    }
    proxy.authenticator.reconnect();
    tracing::info!(
        database,
        "RECONNECT: server connections are closed as they come back."
    );
    Ok(())
}

/// Waits until the server connections that RECONNECT has found are gone.
pub(super) async fn wait_close(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    let is_left = || {
        let outdated = proxy.means.roster.outdated();
        let is_meant = |name: &str| database.is_none_or(|database| database == name);
        outdated.iter().any(|card| is_meant(&card.origin.database))
    };
    while is_left() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Sends away all clients, and holds those that come until RESUME. May follow a PAUSE that somebody does not let come to its end.
pub(super) fn kill(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    proxy.databases.hold(database);
    let is_meant = |name: &str| database.is_none_or(|database| database == name);
    let clients = proxy
        .means
        .roster
        .kill(|card| is_meant(&card.origin.database));
    tracing::info!(database, clients, "KILL: clients were sent away.");
    Ok(())
}

pub(super) fn kill_client(proxy: &Proxy, id: u64) -> Done {
    // One that is on its way out is gone already.
    match proxy
        .means
        .roster
        .kill(|card| card.id == id && !card.is_killed())
    {
        0 => Err(Refusal::console(format!("there is no client {id}"))),
        _ => Ok(()),
    }
}

pub(super) fn set_disabled(proxy: &Proxy, database: &str, is_disabled: bool) -> Done {
    known(proxy, Some(database))?;
    proxy.databases.set_disabled(database, is_disabled);
    tracing::info!(
        database,
        is_disabled,
        "The console has decided who may ask for a database."
    );
    Ok(())
}

/// The notices are what was odd, and what waits for a new start.
pub(super) async fn reload(proxy: &Proxy) -> Result<Vec<String>, Refusal> {
    let Some(control) = proxy.control.get() else {
        return Err(Refusal::console(
            "this process cannot read its configuration again",
        ));
    };
    match control.reload().await {
        Ok(Ok(effect)) => {
            let mut notices = effect.warnings;
            if !effect.need_restart.is_empty() {
                let keys = effect.need_restart.join(", ");
                notices.push(format!("at the next start: {keys}"));
            }
            Ok(notices)
        }
        Ok(Err(problems)) => Err(Refusal::reload_failed(&problems)),
        Err(busy) => Err(Refusal::console(busy.to_string())),
    }
}

pub(super) fn shut_down(proxy: &Proxy, how: Shutdown) -> Done {
    let Some(control) = proxy.control.get() else {
        return Err(Refusal::console("this process cannot be ended from here"));
    };
    let how = match how {
        Shutdown::Now => Leave::Now,
        Shutdown::WaitForServers => Leave::AfterTransactions,
        Shutdown::WaitForClients => Leave::AfterClients,
    };
    control
        .leave(how)
        .map_err(|busy| Refusal::console(busy.to_string()))
}

fn of(proxy: &Proxy, database: Option<&str>) -> Vec<Arc<Target>> {
    let mut targets = proxy.databases.targets();
    targets.retain(|target| database.is_none_or(|name| target.database == name));
    targets
}

fn known(proxy: &Proxy, database: Option<&str>) -> Done {
    let Some(name) = database else { return Ok(()) };
    match proxy.config().database(name) {
        Some(_) => Ok(()),
        None => Err(Refusal::console(format!("there is no database {name:?}"))),
    }
}
