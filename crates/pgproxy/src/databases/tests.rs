//! The directory, without any server.

use super::*;
use crate::config::{DatabaseUrl, Pooling, User};
use crate::settings::SettingsTable;

fn database(name: &str, url: &str) -> Database {
    Database {
        name: name.into(),
        ..Database::new(DatabaseUrl::parse(url).unwrap())
    }
}

fn config(databases: &[(&str, &str)]) -> Config {
    let databases = databases.iter().map(|(name, url)| database(name, url));
    Config {
        databases: databases.collect(),
        ..Config::default()
    }
}

fn directory(config: Config) -> Databases {
    let means = Arc::new(Means::new().unwrap());
    Databases::new(Arc::new(config), SettingsTable::new().neutral(), means)
}

fn get(
    databases: &Databases,
    name: &str,
    user: &str,
    password: Option<&str>,
) -> Result<Arc<Target>, Refusal> {
    let identity = Identity {
        user: user.into(),
        credential: Credential::of_password(password),
    };
    databases.target(name, &identity)
}

fn names(databases: &Databases) -> Vec<String> {
    let targets = databases.targets();
    let name = |target: &Arc<Target>| format!("{}/{}", target.database, target.user);
    targets.iter().map(name).collect()
}

#[test]
fn one_url_is_one_target_from_the_start() {
    let databases = directory(config(&[("app", "postgres://me:x@h/app")]));
    assert_eq!(names(&databases), ["app/me"]);
    let target = get(&databases, "app", "me", None).unwrap();
    assert!(Arc::ptr_eq(&target, &databases.main().unwrap()));
    assert_eq!(target.server.url().password.as_deref(), Some("x"));
    let refusal = get(&databases, "other", "me", None).err().unwrap();
    assert_eq!(
        refusal.sqlstate,
        paceline_pgwire::SqlState::INVALID_CATALOG_NAME
    );
}

#[test]
fn users_share_the_role_of_the_url_or_have_their_own() {
    let databases = directory(config(&[
        ("shared", "postgres://role:x@h/a"),
        ("own", "postgres://h/b"),
    ]));
    let target = |name, user| get(&databases, name, user, Some("pw")).unwrap();
    assert!(Arc::ptr_eq(
        &target("shared", "ann"),
        &target("shared", "bob")
    ));
    assert!(!Arc::ptr_eq(&target("own", "ann"), &target("own", "bob")));
    let server = &target("own", "ann").server;
    let url = server.url();
    assert_eq!((&*url.user, &*url.database), ("ann", "b"));
    assert_eq!(server.credential(), Credential::of_password(Some("pw")));
    assert_eq!(names(&databases), ["own/ann", "own/bob", "shared/role"]);
}

#[test]
fn any_name_leads_to_the_database_of_that_name() {
    let databases = directory(config(&[
        ("app", "postgres://u@h/app"),
        (crate::config::ANY, "postgres://v@other/ignored"),
    ]));
    let target = get(&databases, "some", "x", None).unwrap();
    let url = target.server.url();
    assert_eq!((&*url.host, &*url.database), ("other", "some"));
    assert_eq!(
        get(&databases, "app", "x", None).unwrap().server.url().host,
        "h"
    );
}

#[test]
fn what_nobody_uses_is_forgotten_and_there_is_a_bound() {
    let databases = directory(config(&[
        ("app", "postgres://u@h/app"),
        ("*", "postgres://h/"),
    ]));
    let start = Instant::now();
    let held = get(&databases, "held", "u", None).unwrap();
    for number in 0..TARGETS_MAX - 2 {
        get(&databases, &format!("db{number}"), "u", None).unwrap();
    }
    assert_eq!(databases.targets().len(), TARGETS_MAX);
    get(&databases, "one more", "u", None).unwrap();
    assert_eq!(names(&databases), ["app/u", "held/u", "one more/u"]);
    drop(databases.main());
    databases.forget_unused(start);
    databases.forget_unused(start + UNUSED_KEPT);
    assert_eq!(names(&databases), ["app/u", "held/u"], "the main one stays");
    drop(held);

    let all: Vec<_> = (0..TARGETS_MAX - 1)
        .map(|number| get(&databases, &format!("db{number}"), "u", None).unwrap())
        .collect();
    let refusal = get(&databases, "too many", "u", None).err().unwrap();
    assert!(
        refusal.message.contains("too many different databases"),
        "{refusal:?}"
    );
    drop(all);
    assert!(get(&databases, "too many", "u", None).is_ok());
}

#[test]
fn a_user_is_stronger_than_its_database_which_is_stronger_than_the_default() {
    let mut config = config(&[("app", "postgres://h/app")]);
    config.pool_size = 7;
    config.databases[0].pool_size = Some(3);
    config.users = vec![User {
        name: "ann".into(),
        pool_size: Some(2),
        pooling: Some(Pooling::Session),
        ..User::default()
    }];
    let databases = directory(config);
    let limits = |user| {
        let settings = get(&databases, "app", user, None).unwrap().settings();
        (settings.limits.size, settings.pooling)
    };
    assert_eq!(limits("ann"), (2, Pooling::Session));
    assert_eq!(limits("bob"), (3, Pooling::Transaction));
}

#[test]
fn a_reload_changes_targets_in_place() {
    let databases = directory(config(&[
        ("app", "postgres://u:old@h/app"),
        ("gone", "postgres://u:p@h/gone"),
        ("same", "postgres://u:p@h/same"),
    ]));
    let [app, gone, same] =
        ["app", "gone", "same"].map(|name| get(&databases, name, "u", None).unwrap());
    let changed = databases.reload(Arc::new(config(&[
        ("app", "postgres://u:new@elsewhere/app"),
        ("same", "postgres://u:p@h/same"),
        ("fresh", "postgres://u:p@h/fresh"),
    ])));
    assert_eq!(changed, ["app/u"]);
    assert!(get(&databases, "fresh", "u", None).is_ok());
    assert_eq!(app.server.url().host, "elsewhere");
    assert!(Arc::ptr_eq(
        &app,
        &get(&databases, "app", "u", None).unwrap()
    ));
    assert!(Arc::ptr_eq(
        &same,
        &get(&databases, "same", "u", None).unwrap()
    ));
    assert!(get(&databases, "gone", "u", None).is_err());
    assert_eq!(gone.server.url().host, "h", "its clients go on");
}

#[test]
fn a_held_database_is_held_for_whoever_comes_and_released_for_all() {
    let databases = directory(config(&[
        ("app", "postgres://h/app"),
        ("other", "postgres://h/other"),
    ]));
    let is_paused = |name, user| {
        let target = get(&databases, name, user, None).unwrap();
        target.pool.is_paused()
    };
    assert!(!is_paused("app", "ann"));
    assert!(databases.hold(Some("app")) && !databases.hold(Some("app")));
    assert!(is_paused("app", "ann") && is_paused("app", "bob"));
    assert!(!is_paused("other", "ann"));
    assert!(databases.release(Some("app")) && !databases.release(Some("app")));
    assert!(!is_paused("app", "ann") && !is_paused("app", "bob"));

    // All, and one of them by itself as well.
    assert!(databases.hold(None) && databases.hold(Some("app")));
    assert!(is_paused("other", "bob"));
    assert!(databases.release(Some("app")) && databases.is_held(Some("app")));
    assert!(is_paused("app", "ann"), "all are held still");
    assert!(databases.release(None) && !databases.release(None));
    assert!(!is_paused("app", "ann") && !is_paused("other", "bob"));
}

#[test]
fn a_target_that_a_reload_makes_is_held_with_the_others() {
    let databases = directory(config(&[("app", "postgres://u:p@h/app")]));
    databases.hold(None);
    databases.reload(Arc::new(config(&[("new", "postgres://u:p@h/new")])));
    assert_eq!(names(&databases), ["app/u", "new/u"]);
    let is_paused = |target: &Arc<Target>| target.pool.is_paused();
    assert!(databases.targets().iter().all(is_paused));
    // Of the database that is gone there are clients still.
    databases.hold(Some("app"));
    databases.release(None);
    assert!(!databases.targets().iter().any(is_paused));
}

#[test]
fn no_target_stays_held_when_logins_and_orders_race() {
    let databases = directory(config(&[("*", "postgres://h/")]));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let log_in = |user: &str| {
        while !is_over.load(Relaxed) {
            get(&databases, "app", user, None).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| log_in("ann"));
        scope.spawn(|| log_in("bob"));
        let left_behind = (0..300_000).find(|_| {
            databases.hold(None);
            databases.release(None);
            let targets = databases.targets();
            targets.iter().any(|target| target.pool.is_paused())
        });
        is_over.store(true, Relaxed);
        assert_eq!(
            left_behind, None,
            "the round after which one was held still"
        );
    });
}
