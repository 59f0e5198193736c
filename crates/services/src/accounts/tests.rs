//! Who is let in, what lasts, and what is refused.

use std::net::IpAddr;
use std::time::Duration;

use buoy_api::{
    AddAccount, AddToken, ChangeAccount, ChangePassword, ConfirmSecondFactor, Grant, RemoveSecondFactor,
    Role, Secret, Setup, SignIn, SignedInBy,
};
use buoy_lwm2m::model::Registry;
use buoy_net::clock::Clock;
use buoy_net::supervision::Supervisor;
use buoy_store::sqlite::Sqlite;
use buoy_store::{AuditFilter, Page, Store};

use super::password::Passwords;
use super::*;
use crate::journal;
use crate::keyfile::Keys;

const PASSWORD: &str = "correct horse battery";
const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)));

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn grants(texts: &[&str]) -> Vec<Grant> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A data folder.
struct Folder {
    folder: tempfile::TempDir,
    store: Sqlite,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&crate::data_folder::database(folder.path())).unwrap();
        Self { folder, store }
    }

    /// As at the start of a server.
    fn load(&self) -> Accounts {
        let reader = self.store.reader().unwrap();
        let parts = journal::Parts {
            writer: Box::new(self.store.writer().unwrap()),
            models: Arc::new(Registry::standard()),
            clock: Clock::start(),
            retention: Duration::from_secs(3600),
            notify: Box::new(|_| ()),
            describe: Box::new(|_, _, _| {}),
            remember: Box::new(|_, _| {}),
        };
        let journal = journal::start(parts, &Supervisor::new(|failure| panic!("{failure}"))).unwrap().0;
        let keys = Keys::open(self.folder.path(), &reader).unwrap();
        Accounts::with(&reader, journal, keys.sealer(), Clock::start(), Passwords::cheap()).unwrap()
    }

    fn audit(&self) -> Vec<String> {
        let reader = Store::reader(&self.store).unwrap();
        let rows = reader.audit(&AuditFilter::default(), Page { before: u64::MAX, limit: 100 }).unwrap();
        rows.iter()
            .rev()
            .map(|row| format!("{} {} {} {}", row.principal, row.action, row.target, row.result))
            .collect()
    }
}

/// Makes the first account, and returns it as a principal.
async fn first(accounts: &Accounts) -> Principal {
    let token = accounts.setup_token().unwrap().clone();
    let setup = Setup { token, name: "alice".into(), password: secret(PASSWORD) };
    let session = accounts.set_up(HOME, setup).await.unwrap();
    accounts.by_cookie(session.cookie.reveal(), HOME).unwrap().principal
}

fn sign_in(name: &str, password: &str, code: Option<&str>) -> SignIn {
    SignIn { name: name.into(), password: secret(password), code: code.map(secret) }
}

async fn add(accounts: &Accounts, admin: &Principal, name: &str, of: &[&str]) -> Principal {
    let request = AddAccount { name: name.into(), password: secret(PASSWORD), grants: grants(of) };
    accounts.add(admin, request).await.unwrap();
    let session = accounts.sign_in(HOME, sign_in(name, PASSWORD, None)).await.unwrap();
    accounts.by_cookie(session.cookie.reveal(), HOME).unwrap().principal
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_account_is_made_once_by_the_token_that_was_printed() {
    let folder = Folder::new();
    let accounts = folder.load();
    let setup =
        |token: &str| Setup { token: secret(token), name: "alice".into(), password: secret(PASSWORD) };
    assert!(matches!(accounts.set_up(HOME, setup("aaaa")).await, Err(AccessError::NoSetup(_))));
    let token = accounts.setup_token().unwrap().reveal().to_owned();
    let session = accounts.set_up(HOME, setup(&token.to_uppercase())).await.unwrap();
    let arrival = accounts.by_cookie(session.cookie.reveal(), HOME).unwrap();
    assert_eq!(arrival.principal.grants(), [Grant::everywhere(Role::Admin)]);
    assert_eq!(arrival.csrf.as_deref(), Some(session.csrf.reveal()));
    assert!(accounts.setup_token().is_none());
    assert!(matches!(accounts.set_up(HOME, setup(&token)).await, Err(AccessError::NoSetup(_))));
    assert_eq!(folder.audit(), ["alice account.set_up alice ok", "alice account.sign_in alice ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_and_tokens_outlive_a_restart_and_no_secret_is_in_the_store() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    let session = accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
    let request = AddToken { name: "ci".into(), grants: Some(grants(&["viewer"])), expires_in: Some(3600) };
    let token = accounts.add_token(&alice, request).await.unwrap();
    assert!(token.secret.reveal().starts_with("buoy_"));
    drop(accounts);
    let accounts = folder.load();
    assert!(accounts.setup_token().is_none());
    let by_cookie = accounts.by_cookie(session.cookie.reveal(), HOME).unwrap().principal;
    assert_eq!((by_cookie.name(), by_cookie.by()), ("alice", SignedInBy::Session));
    let by_token = accounts.by_token(token.secret.reveal(), HOME).unwrap().principal;
    assert_eq!((by_token.name(), by_token.by()), ("alice/ci", SignedInBy::Token));
    assert_eq!(by_token.grants(), grants(&["viewer"]));
    assert!(accounts.by_token(session.cookie.reveal(), HOME).is_none());
    assert!(accounts.by_cookie(token.secret.reveal(), HOME).is_none());
    for file in std::fs::read_dir(folder.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        for text in [PASSWORD, session.cookie.reveal(), token.secret.reveal()] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_look_the_same_and_are_limited() {
    let folder = Folder::new();
    let accounts = folder.load();
    first(&accounts).await;
    for (name, password) in [("alice", "wrong horse battery"), ("mallory", PASSWORD), ("alice", "")] {
        let refused = accounts.sign_in(ELSEWHERE, sign_in(name, password, None)).await.unwrap_err();
        assert!(matches!(refused, AccessError::WrongSignIn), "{refused}");
    }
    let mut refused = None;
    for _ in 0..30 {
        let attempt = accounts.sign_in(ELSEWHERE, sign_in("alice", "wrong horse battery", None)).await;
        refused = Some(attempt.unwrap_err());
    }
    assert!(matches!(refused, Some(AccessError::TooMany(_))));
    let right = accounts.sign_in(ELSEWHERE, sign_in("alice", PASSWORD, None)).await;
    assert!(matches!(right, Err(AccessError::TooMany(_))), "the right password comes too late, too");
    accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
    let audit = folder.audit();
    assert!(audit.iter().any(|line| line.contains("refused: wrong name or password")), "{audit:?}");
    assert!(!audit.iter().any(|line| line.contains("mallory")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_needed_from_its_confirmation_on_and_its_codes_are_good_once() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    let prepared = accounts.prepare_second_factor(&alice).unwrap();
    let bytes = data_encoding::BASE32_NOPAD.decode(prepared.secret.reveal().as_bytes()).unwrap();
    let shared = totp::Secret::from_bytes(zeroize::Zeroizing::new(bytes));
    accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
    let wrong = ConfirmSecondFactor { code: secret("000000x") };
    assert!(matches!(accounts.confirm_second_factor(&alice, wrong).await, Err(AccessError::SecondFactor(_))));
    let now = accounts.now();
    let code = secret(&shared.code_at(now));
    let recovery = accounts.confirm_second_factor(&alice, ConfirmSecondFactor { code: code.clone() }).await;
    let recovery = recovery.unwrap().codes;

    let signed_in = accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await;
    assert!(matches!(signed_in, Err(AccessError::SecondFactorNeeded)));
    // The code of the confirmation is used.
    let again = accounts.sign_in(HOME, sign_in("alice", PASSWORD, Some(code.reveal()))).await;
    assert!(matches!(again, Err(AccessError::WrongSignIn)));
    let next = shared.code_at(now + 30_000);
    accounts.sign_in(HOME, sign_in("alice", PASSWORD, Some(&next))).await.unwrap();
    // It is sealed, and opened after a restart.
    drop(accounts);
    let accounts = folder.load();
    let spent = recovery[0].reveal();
    accounts.sign_in(HOME, sign_in("alice", PASSWORD, Some(spent))).await.unwrap();
    let twice = accounts.sign_in(HOME, sign_in("alice", PASSWORD, Some(spent))).await;
    assert!(matches!(twice, Err(AccessError::WrongSignIn)));
    let remove = |password: &str| RemoveSecondFactor { password: secret(password) };
    assert!(accounts.remove_second_factor(&alice, remove("wrong horse battery")).await.is_err());
    accounts.remove_second_factor(&alice, remove(PASSWORD)).await.unwrap();
    accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_loses_its_sign_ins_and_tokens_lose_at_once() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    let bob = add(&accounts, &alice, "bob", &["operator"]).await;
    let request = AddToken { name: "ci".into(), grants: None, expires_in: None };
    let token = accounts.add_token(&bob, request).await.unwrap().secret;
    let may_command = |principal: &Principal| {
        let (command, target) = (crate::access::Permission::Command, crate::access::Target::Server);
        principal.may(command, target, &crate::access::NoGroups).is_ok()
    };
    let by_token = accounts.by_token(token.reveal(), HOME).unwrap().principal;
    assert!(may_command(&by_token) && by_token.is_valid(accounts.now()));

    let change = ChangeAccount { grants: Some(grants(&["viewer"])), ..ChangeAccount::default() };
    accounts.edit(&alice, "bob", change).await.unwrap();
    assert!(!by_token.is_valid(accounts.now()), "what goes on for long ends");
    assert!(!may_command(&accounts.by_token(token.reveal(), HOME).unwrap().principal));

    let session = accounts.sign_in(HOME, sign_in("bob", PASSWORD, None)).await.unwrap();
    let change = ChangeAccount { disabled: Some(true), ..ChangeAccount::default() };
    accounts.edit(&alice, "bob", change).await.unwrap();
    assert!(accounts.by_cookie(session.cookie.reveal(), HOME).is_none());
    assert!(accounts.by_token(token.reveal(), HOME).is_none());
    assert!(accounts.sign_in(HOME, sign_in("bob", PASSWORD, None)).await.is_err());

    accounts.remove(&alice, "bob").await.unwrap();
    drop(accounts);
    let accounts = folder.load();
    assert!(accounts.by_token(token.reveal(), HOME).is_none());
    assert_eq!(accounts.list(&alice).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sign_ins() {
    let folder = Folder::new();
    let accounts = folder.load();
    first(&accounts).await;
    let one = accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
    let other = accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.unwrap();
    let alice = accounts.by_cookie(one.cookie.reveal(), HOME).unwrap().principal;
    let request = |current: &str, new: &str| ChangePassword { current: secret(current), new: secret(new) };
    for (current, new) in
        [("wrong horse battery", "a new horse battery"), (PASSWORD, "short"), (PASSWORD, "aaaaaaaaaaaaaaaa")]
    {
        assert!(accounts.change_password(&alice, None, request(current, new)).await.is_err(), "{new}");
    }
    let cookie = Some(one.cookie.reveal());
    accounts.change_password(&alice, cookie, request(PASSWORD, "a new horse battery")).await.unwrap();
    assert!(accounts.by_cookie(one.cookie.reveal(), HOME).is_some());
    assert!(accounts.by_cookie(other.cookie.reveal(), HOME).is_none());
    assert!(accounts.sign_in(HOME, sign_in("alice", PASSWORD, None)).await.is_err());
    accounts.sign_in(HOME, sign_in("alice", "a new horse battery", None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_an_admin_and_nobody_gives_away_more_than_he_has() {
    let folder = Folder::new();
    let accounts = folder.load();
    let viewer = AddAccount { name: "eve".into(), password: secret(PASSWORD), grants: grants(&["viewer"]) };
    let local = Principal::local(None);
    assert!(matches!(accounts.add(&local, viewer.clone()).await, Err(AccessError::Grants(_))));
    let alice = first(&accounts).await;
    let eve = add(&accounts, &alice, "eve", &["viewer", "operator@north"]).await;
    assert!(matches!(accounts.add(&eve, viewer.clone()).await, Err(AccessError::Forbidden(_))));
    assert!(matches!(accounts.add(&alice, viewer).await, Err(AccessError::Exists(_))));
    assert!(matches!(accounts.list(&eve), Err(AccessError::Forbidden(_))));
    assert!(accounts.one(&eve, "eve").is_ok() && accounts.one(&eve, "alice").is_err());

    assert!(matches!(accounts.remove(&alice, "alice").await, Err(AccessError::LastAdmin(_))));
    for change in [
        ChangeAccount { grants: Some(grants(&["operator", "admin@north"])), ..ChangeAccount::default() },
        ChangeAccount { disabled: Some(true), ..ChangeAccount::default() },
    ] {
        let changed = accounts.edit(&alice, "alice", change).await;
        assert!(matches!(changed, Err(AccessError::LastAdmin(_))));
    }
    let token = |of: &[&str]| AddToken { name: "x".into(), grants: Some(grants(of)), expires_in: None };
    for of in [&["operator"][..], &["admin"], &["operator@south"]] {
        assert!(matches!(accounts.add_token(&eve, token(of)).await, Err(AccessError::MoreThanOwn)));
    }
    let made = accounts.add_token(&eve, token(&["operator@north"])).await.unwrap();
    let by_token = accounts.by_token(made.secret.reveal(), HOME).unwrap().principal;
    let again = accounts.add_token(&by_token, token(&["operator@north"])).await;
    assert!(matches!(again, Err(AccessError::NeedsSession(_))), "a token makes no tokens");
    assert_eq!(accounts.tokens(&alice).unwrap().len(), 1);
    assert_eq!(accounts.tokens(&eve).unwrap().len(), 1);
    let bob = add(&accounts, &alice, "bob", &["operator"]).await;
    assert!(accounts.tokens(&bob).unwrap().is_empty());
    assert!(matches!(accounts.remove_token(&bob, made.token.id).await, Err(AccessError::NoSuchToken(_))));
    accounts.remove_token(&eve, made.token.id).await.unwrap();
    assert!(accounts.by_token(made.secret.reveal(), HOME).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_from_an_identity_provider_takes_no_account_that_was_made_here() {
    let folder = Folder::new();
    let accounts = folder.load();
    first(&accounts).await;
    let come = |subject: &'static str, name: &'static str, of: &[&str]| {
        let (accounts, grants) = (accounts.clone(), grants(of));
        async move { accounts.sign_in_external(HOME, subject, name, grants).await }
    };
    assert!(matches!(come("sub-1", "alice", &["admin"]).await, Err(AccessError::NotOfProvider(_))));
    let session = come("sub-2", "carol@example.org", &["operator"]).await.unwrap();
    let carol = accounts.by_cookie(session.cookie.reveal(), HOME).unwrap().principal;
    assert_eq!(carol.grants(), grants(&["operator"]));
    // The next time her groups are others.
    let session = come("sub-2", "carol@example.org", &["viewer"]).await.unwrap();
    assert_eq!(
        accounts.by_cookie(session.cookie.reveal(), HOME).unwrap().principal.grants(),
        grants(&["viewer"])
    );
    let other = come("sub-3", "carol@example.org", &["admin"]).await;
    assert!(matches!(other, Err(AccessError::NotOfProvider(_))));
    // Her name at the provider may change.
    assert_eq!(come("sub-2", "carol.jones", &["viewer"]).await.unwrap().account, "carol@example.org");
    let by_password = accounts.sign_in(HOME, sign_in("carol@example.org", "", None)).await;
    assert!(matches!(by_password, Err(AccessError::WrongSignIn)));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords_have_a_form() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    for (name, password) in [
        ("", PASSWORD),
        ("a b", PASSWORD),
        ("a/b", PASSWORD),
        ("server", PASSWORD),
        ("local", PASSWORD),
        ("\u{202e}eve", PASSWORD),
        ("eve", "short"),
        ("eve", "111111111111111"),
        ("eve-of-destruction", "eve-of-destruction1"),
    ] {
        let request =
            AddAccount { name: name.into(), password: secret(password), grants: grants(&["viewer"]) };
        assert!(accounts.add(&alice, request).await.is_err(), "{name} {password}");
    }
    for of in [&[][..], &["viewer"; 101]] {
        let request = AddAccount { name: "eve".into(), password: secret(PASSWORD), grants: grants(of) };
        assert!(matches!(accounts.add(&alice, request).await, Err(AccessError::Grants(_))));
    }
}

#[tokio::test]
async fn a_link_signs_in_once_and_ends_with_the_password() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    let by_link = |token: &Secret| {
        let request = api::SignInByLink { token: token.clone() };
        let accounts = accounts.clone();
        async move { accounts.sign_in_by_link(ELSEWHERE, &request).await }
    };

    let link = accounts.make_sign_in_link(&alice, "alice").await.unwrap();
    assert_eq!(
        link.address("http://[::1]:8080/"),
        format!("http://[::1]:8080/#sign-in={}", link.token.reveal())
    );
    let session = by_link(&link.token).await.unwrap();
    let arrival = accounts.by_cookie(session.cookie.reveal(), ELSEWHERE).unwrap();
    assert_eq!(arrival.principal.by(), SignedInBy::Session);
    for token in [&link.token, &secret("aaaa"), &secret("")] {
        assert!(matches!(by_link(token).await, Err(AccessError::Link(_))));
    }

    let link = accounts.make_sign_in_link(&alice, "alice").await.unwrap();
    let change =
        ChangeAccount { password: Some(secret("another long password")), ..ChangeAccount::default() };
    accounts.edit(&alice, "alice", change).await.unwrap();
    assert!(matches!(by_link(&link.token).await, Err(AccessError::Link(_))));

    let audit = folder.audit();
    assert!(audit.iter().any(|line| line.contains("account.sign_in_link alice")), "{audit:?}");
}

#[tokio::test]
async fn nobody_makes_a_link_for_who_may_do_more_or_has_a_second_factor() {
    let folder = Folder::new();
    let accounts = folder.load();
    let alice = first(&accounts).await;
    let bob = AddAccount { name: "bob".into(), password: secret(PASSWORD), grants: grants(&["operator"]) };
    accounts.add(&alice, bob).await.unwrap();
    let sign_in = SignIn { name: "bob".into(), password: secret(PASSWORD), code: None };
    let bob = accounts.sign_in(HOME, sign_in).await.unwrap();
    let bob = accounts.by_cookie(bob.cookie.reveal(), HOME).unwrap().principal;
    for name in ["alice", "bob"] {
        assert!(matches!(accounts.make_sign_in_link(&bob, name).await, Err(AccessError::Forbidden(_))));
    }
    assert!(matches!(accounts.make_sign_in_link(&alice, "carol").await, Err(AccessError::NoSuchAccount(_))));

    let factor = accounts.prepare_second_factor(&bob).unwrap();
    let bytes = data_encoding::BASE32_NOPAD.decode(factor.secret.reveal().as_bytes()).unwrap();
    let shared = totp::Secret::from_bytes(zeroize::Zeroizing::new(bytes));
    let confirm = ConfirmSecondFactor { code: secret(&shared.code_at(accounts.now())) };
    accounts.confirm_second_factor(&bob, confirm).await.unwrap();
    assert!(matches!(accounts.make_sign_in_link(&alice, "bob").await, Err(AccessError::SecondFactor(_))));
}
