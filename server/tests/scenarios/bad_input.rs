//! Input that cannot be right is refused in words that name the field and the remedy, and changes nothing.

use std::time::Duration;

use fastjob_core::client::{Client, ErrorKind, Job, Options, Trigger};
use fastjob_core::protocol::v1;

use super::stage::Stage;

fn cron(expression: &str) -> Job {
    Job::named("bad").handler("work").cron(expression)
}

fn spec(change: impl FnOnce(&mut v1::JobSpec)) -> Job {
    let mut spec = Job::named("bad").handler("work").into_spec();
    change(&mut spec);
    Job::from(spec)
}

fn dialect(dialect: &str) -> Job {
    let cron = v1::Cron { expression: "0 0 12 * * ?".into(), dialect: dialect.into(), ..v1::Cron::default() };
    spec(|spec| spec.trigger = Some(v1::Trigger { kind: Some(v1::trigger::Kind::Cron(cron)) }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_be_is_refused_by_field_with_a_remedy_and_nothing_is_stored() {
    const EXPRESSION: &str = "jobs[0].trigger.cron.expression";
    let stage = Stage::open().await;
    let long = "n".repeat(129);
    let table: Vec<(&str, Job, &str)> = vec![
        ("never again", cron("0 0 12 1 1 ? 2020"), EXPRESSION),
        ("an impossible date", cron("0 0 12 30 2 ?"), EXPRESSION),
        ("too few fields", cron("* * * * *"), EXPRESSION),
        ("out of range", cron("0 0 25 * * ?"), EXPRESSION),
        ("both days", cron("0 0 12 1 * MON"), EXPRESSION),
        ("neither day", cron("0 0 12 ? * ?"), EXPRESSION),
        ("a day before the first", cron("0 0 12 L-31 * ?"), EXPRESSION),
        ("nearest to no day", cron("0 0 12 32W * ?"), EXPRESSION),
        ("sixth Monday", cron("0 0 12 ? * MON#6"), EXPRESSION),
        ("two rules for days", cron("0 0 0 L * MON"), EXPRESSION),
        ("a step of zero", cron("0/0 * * * * ?"), EXPRESSION),
        ("a macro", cron("@daily"), EXPRESSION),
        ("empty", cron(""), EXPRESSION),
        ("a flood", cron(&"1,".repeat(50_000)), EXPRESSION),
        ("no Latin", cron("💥 * * * * ?"), EXPRESSION),
        ("unknown zone", cron("0 0 12 * * ?").zone("Europe/Bärlin"), "jobs[0].trigger.cron.zone"),
        ("a path as zone", cron("0 0 12 * * ?").zone("../../etc/passwd"), "jobs[0].trigger.cron.zone"),
        ("another dialect", dialect("croner"), "jobs[0].trigger.cron.dialect"),
        ("no trigger", spec(|spec| spec.trigger = None), "jobs[0].trigger"),
        (
            "no pace",
            Job::named("bad").handler("work").every(Duration::ZERO),
            "jobs[0].trigger.fixed_rate.period_ms",
        ),
        ("no name", Job::named("").handler("work"), "jobs[0].name"),
        ("a long name", Job::named(&long).handler("work"), "jobs[0].name"),
        ("a line in the name", Job::named("a\nb").handler("work"), "jobs[0].name"),
        ("a bell in the handler", Job::named("bad").handler("a\u{7}"), "jobs[0].handler"),
        ("no handler", Job::named("bad"), "jobs[0].handler"),
        ("a long handler", Job::named("bad").handler(&long), "jobs[0].handler"),
        ("no JSON", Job::named("bad").handler("work").params_json("{"), "jobs[0].params"),
        ("too much", Job::named("bad").handler("work").params_text("x".repeat(65_537)), "jobs[0].params"),
        ("jitter", Job::named("bad").handler("work").jitter(1.5), "jobs[0].retry.jitter"),
        ("no number", Job::named("bad").handler("work").jitter(f64::NAN), "jobs[0].retry.jitter"),
        ("retries", Job::named("bad").handler("work").retries(1_001), "jobs[0].retry.retries"),
        ("priority", Job::named("bad").handler("work").priority(101), "jobs[0].priority"),
        ("timeout", spec(|spec| spec.attempt_timeout_ms = Some(0)), "jobs[0].attempt_timeout_ms"),
        ("a negative grace", spec(|spec| spec.cancel_grace_ms = Some(-1)), "jobs[0].cancel_grace_ms"),
        ("hasty", spec(|spec| spec.worker_lost_after_ms = Some(999)), "jobs[0].worker_lost_after_ms"),
        ("overlap", spec(|spec| spec.overlap = 77), "jobs[0].overlap"),
        ("owner", spec(|spec| spec.managed_by = "nobody".into()), "jobs[0].managed_by"),
    ];
    for (what, job, field) in table {
        let error = stage.client.job_put(job).await.expect_err(what);
        assert_eq!((error.kind, &*error.field), (ErrorKind::Invalid, field), "{what}: {error:?}");
        assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{what}: {error:?}");
        assert!(error.to_string().len() < 1_000, "{what}: a flood of words");
    }
    assert!(stage.client.job_list("", 0).await.expect("it answers").is_empty(), "one was stored");
    let good = Job::named("good").handler("work");
    let batch = stage.client.job_put_all(vec![good.clone(), cron("nonsense")]).await;
    assert_eq!(batch.expect_err("one is wrong").field, EXPRESSION.replace('0', "1"));
    assert!(stage.client.job_list("", 0).await.expect("it answers").is_empty(), "half a batch was stored");
    stage.put(Job::named("n".repeat(128)).handler("é".repeat(128))).await;
    stage.put(good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_about_a_bad_expression_tell_where_it_is_wrong() {
    let stage = Stage::open().await;
    for (expression, word) in [("0 0 25 * * ?", "hours"), ("0 0 12 L2 * ?", "L"), ("0 0 12 * FOO ?", "month")]
    {
        let put = ["job", "put", "bad", "--handler", "work", "--cron", expression];
        let said = stage.cli(&put);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(word) && said.err.contains("at position"), "{said:?}");
        assert!(said.err.starts_with("error: ") && said.err.contains("\nremedy: "), "{said:?}");
    }
    let said = stage.cli(&[
        "job",
        "put",
        "bad",
        "--handler",
        "work",
        "--cron",
        "0 0 12 * * ?",
        "--zone",
        "Europe/Berlln",
    ]);
    assert!(said.err.contains("Europe/Berlin"), "the nearest is named: {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_cannot_be_is_refused_by_field_and_fires_nothing() {
    let stage = Stage::open().await;
    stage.put(Job::named("job").handler("work")).await;
    let of = |change: fn(&mut v1::TriggerSpec)| {
        let mut spec = Trigger::of("job").into_spec();
        change(&mut spec);
        Trigger::from(spec)
    };
    let table = [
        ("no job", Trigger::of(""), "triggers[0].job"),
        ("a long key", Trigger::of("job").key("k".repeat(257)), "triggers[0].idempotency_key"),
        ("no JSON", Trigger::of("job").params_json("}"), "triggers[0].params"),
        (
            "no text",
            of(|spec| spec.params = Some(v1::Payload { encoding: 1, data: vec![0xff].into() })),
            "triggers[0].params",
        ),
        (
            "no encoding",
            of(|spec| spec.params = Some(v1::Payload { encoding: 9, ..Default::default() })),
            "triggers[0].params.encoding",
        ),
        ("before time", of(|spec| spec.when = Some(v1::trigger_spec::When::At(-1))), "triggers[0].at"),
        (
            "backwards",
            of(|spec| spec.when = Some(v1::trigger_spec::When::DelayMs(-1))),
            "triggers[0].delay_ms",
        ),
        ("a short request id", of(|spec| spec.request_id = vec![1; 3].into()), "triggers[0].request_id"),
        ("overlap", of(|spec| spec.overlap = Some(77)), "triggers[0].overlap"),
    ];
    for (what, trigger, field) in table {
        let error = stage.client.trigger(trigger).await.expect_err(what);
        assert_eq!((error.kind, &*error.field), (ErrorKind::Invalid, field), "{what}: {error:?}");
        assert!(!error.remedy.is_empty(), "{what}: {error:?}");
    }
    assert!(stage.shown(&["run", "list"]).is_empty(), "one was fired");
    stage.fire_by(Trigger::of("job").key("é".repeat(256))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_impossible_options_says_which() {
    let good = "127.0.0.1:7180";
    for (servers, token, field) in [
        (vec![], "fjt_x", "servers"),
        (vec!["nonsense"], "fjt_x", "servers"),
        (vec!["http://user@host:1"], "fjt_x", "servers"),
        (vec![good], "two\nlines", "token"),
    ] {
        let error = Client::connect(Options::new(servers, "demo", token)).await.expect_err(field);
        assert_eq!((error.kind, &*error.field), (ErrorKind::Invalid, field));
        assert!(!error.remedy.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_too_large_for_a_message_is_refused_whole_with_a_remedy() {
    let stage = Stage::open().await;
    let full = "x".repeat(65_536);
    let jobs = (0..70).map(|n| Job::named(format!("job-{n}")).handler("work").params_text(&full)).collect();
    let put = stage.client.job_put_all(jobs).await.expect_err("70 times 64 KiB are over 4 MiB");
    assert_eq!((put.kind, &*put.code), (ErrorKind::Invalid, "message_too_large"), "{put:?}");
    assert!(put.remedy.contains("fewer"), "{put:?}");
    assert!(stage.client.job_list("", 0).await.expect("it answers").is_empty(), "some were stored");
    stage.put(Job::named("job").handler("work")).await;
    let triggers = (0..70).map(|_| Trigger::of("job").params_text(&full)).collect();
    let fired = stage.client.trigger_all(triggers).await.expect_err("70 times 64 KiB are over 4 MiB");
    assert_eq!((fired.kind, &*fired.code), (ErrorKind::Invalid, "message_too_large"), "{fired:?}");
    let raw = stage.client.call_raw("JobGet", vec![0; 5 << 20].into(), Duration::from_secs(10)).await;
    assert_eq!(raw.expect_err("5 MiB are over 4 MiB").code, "message_too_large");
    assert!(stage.shown(&["run", "list"]).is_empty(), "some were fired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_cannot_be_is_refused_by_field() {
    let stage = Stage::open().await;
    let long = "n".repeat(129);
    for (arguments, words) in [
        (["app", "create", "", "--shards", "1"], ["name: is empty", "give 1 to 128 characters"]),
        (["app", "create", &long, "--shards", "1"], ["name: has 129 characters", "at most 128"]),
        (["app", "create", "a\u{1b}b", "--shards", "1"], ["name: has a control character", "remove it"]),
        (["app", "create", "wide", "--shards", "257"], ["shards: is 257", "give 1 to 256"]),
    ] {
        let said = stage.cli(&arguments);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(words.iter().all(|word| said.err.contains(word)), "{said:?}");
    }
    assert_eq!(stage.shown(&["app", "list"]).len(), 1);
}
