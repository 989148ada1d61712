//! Apps and their tokens.

use fastjob_core::id::ShardKey;
use fastjob_server::store::{NewToken, Token};

use crate::bundle::{Bundle, START, name};

crate::on_every_backend! {
    an_app_comes_with_its_shards_and_its_first_token
    a_taken_name_makes_no_second_app
    apps_are_listed_in_order_of_name
    the_administrators_token_is_written_once
    an_app_has_at_most_two_valid_tokens
    a_token_is_revoked_by_its_own_app_and_once
    expired_and_revoked_tokens_are_not_valid
}

async fn an_app_comes_with_its_shards_and_its_first_token(on: Bundle) {
    let new = on.new_app("shop", 3);
    let app = on.app_create(&new).await.unwrap().unwrap();
    assert_eq!((&app.name, app.shards, app.created_at), (&new.name, 3, START));
    let shards: Vec<ShardKey> = on
        .owner_list()
        .await
        .unwrap()
        .iter()
        .map(|owned| owned.shard)
        .filter(|shard| shard.app == app.id)
        .collect();
    assert_eq!(shards, [0, 1, 2].map(|shard| ShardKey { app: app.id, shard }));
    assert_eq!(
        on.token_list(Some(app.id)).await.unwrap(),
        [token(NewToken { app: Some(app.id), ..new.token })]
    );
}

async fn a_taken_name_makes_no_second_app(on: Bundle) {
    let before = (on.owner_list().await.unwrap(), on.token_valid(START).await.unwrap());
    assert_eq!(on.app_create(&on.new_app("demo", 5)).await.unwrap(), None);
    assert_eq!((on.owner_list().await.unwrap(), on.token_valid(START).await.unwrap()), before);
}

async fn apps_are_listed_in_order_of_name(on: Bundle) {
    for app in ["zoo", "ant"] {
        on.app_create(&on.new_app(app, 1)).await.unwrap().unwrap();
    }
    let names: Vec<_> = on.app_list().await.unwrap().into_iter().map(|app| app.name).collect();
    assert_eq!(names, [name("ant"), name("demo"), name("zoo")]);
}

async fn the_administrators_token_is_written_once(on: Bundle) {
    let (first, second) = (on.new_token(None), on.new_token(None));
    assert!(on.admin_token_init(&first).await.unwrap());
    assert!(!on.admin_token_init(&second).await.unwrap());
    assert_eq!(on.token_list(None).await.unwrap(), [token(first.clone())]);
    assert!(on.token_revoke(None, first.id, START).await.unwrap());
    assert!(!on.admin_token_init(&second).await.unwrap(), "a revoked one does not come back by a restart");
}

async fn an_app_has_at_most_two_valid_tokens(on: Bundle) {
    let app = Some(on.app.id);
    let first = on.token_list(app).await.unwrap()[0].id;
    let brief = NewToken { expires_at: Some(START.plus(10)), ..on.new_token(app) };
    assert!(on.token_create(&brief).await.unwrap());
    assert!(!on.token_create(&on.new_token(app)).await.unwrap());
    let later = NewToken { created_at: START.plus(10), ..on.new_token(app) };
    assert!(on.token_create(&later).await.unwrap(), "an expired one does not count");
    assert!(!on.token_create(&later.clone()).await.unwrap());
    assert!(on.token_revoke(app, first, START.plus(11)).await.unwrap());
    let last = NewToken { created_at: START.plus(12), ..on.new_token(app) };
    assert!(on.token_create(&last).await.unwrap(), "a revoked one does not count");
    let ids: Vec<_> = on.token_list(app).await.unwrap().into_iter().map(|token| token.id).collect();
    assert_eq!(ids, [first, brief.id, later.id, last.id]);
}

async fn a_token_is_revoked_by_its_own_app_and_once(on: Bundle) {
    let app = Some(on.app.id);
    let first = on.token_list(app).await.unwrap()[0].id;
    assert!(!on.token_revoke(None, first, START).await.unwrap());
    assert!(!on.token_revoke(app, on.id(), START).await.unwrap());
    assert!(on.token_revoke(app, first, START.plus(1)).await.unwrap());
    assert!(!on.token_revoke(app, first, START.plus(2)).await.unwrap());
    assert_eq!(on.token_list(app).await.unwrap()[0].revoked_at, Some(START.plus(1)));
}

async fn expired_and_revoked_tokens_are_not_valid(on: Bundle) {
    let app = Some(on.app.id);
    let brief = NewToken { expires_at: Some(START.plus(10)), ..on.new_token(app) };
    assert!(on.token_create(&brief).await.unwrap());
    let first = on.token_list(app).await.unwrap()[0].clone();
    assert_eq!(on.token_valid(START.plus(9)).await.unwrap(), [first.clone(), token(brief)]);
    assert_eq!(on.token_valid(START.plus(10)).await.unwrap(), std::slice::from_ref(&first));
    assert!(on.token_revoke(app, first.id, START).await.unwrap());
    assert_eq!(on.token_valid(START.plus(10)).await.unwrap(), []);
}

fn token(new: NewToken) -> Token {
    Token {
        id: new.id,
        app: new.app,
        hash: new.hash,
        note: new.note,
        created_at: new.created_at,
        expires_at: new.expires_at,
        revoked_at: None,
    }
}
