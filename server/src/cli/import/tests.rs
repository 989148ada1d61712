//! Jobs of each scheduler, from the forms in which people have them.

use clap::Parser;

use super::*;
use crate::cli::jobfile::{Source, read};

const NOW: Millis = Millis::new(1_767_225_600_000); // 2026-01-01

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    import: ImportCommand,
}

/// What `fastjob import` makes of a file: the YAML and the report.
fn import(arguments: &[&str], text: &str) -> (String, String) {
    let line = ["import"].iter().chain(arguments).chain(&["file"]).copied();
    let command = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).import;
    let (yaml, report, unexplained) = command.make(text, NOW).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(unexplained, 0, "{report}");
    let source = Source { file: "yaml".into(), bytes: yaml.clone().into_bytes() };
    assert!(read(&[source], None, NOW).is_ok(), "what is imported can be applied:\n{yaml}");
    (yaml, report)
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

const QUARTZ: &str = r"
CREATE TABLE QRTZ_JOB_DETAILS (
  SCHED_NAME VARCHAR(120) NOT NULL, JOB_NAME VARCHAR(190) NOT NULL, JOB_GROUP VARCHAR(190) NOT NULL,
  DESCRIPTION VARCHAR(250) NULL, JOB_CLASS_NAME VARCHAR(250) NOT NULL, IS_DURABLE VARCHAR(1) NOT NULL,
  IS_NONCONCURRENT VARCHAR(1) NOT NULL, IS_UPDATE_DATA VARCHAR(1) NOT NULL, REQUESTS_RECOVERY VARCHAR(1) NOT NULL,
  JOB_DATA BLOB NULL, PRIMARY KEY (SCHED_NAME,JOB_NAME,JOB_GROUP));
INSERT INTO `QRTZ_JOB_DETAILS` VALUES ('s','report','DEFAULT',NULL,'com.shop.ReportJob','0','1','0','1',_binary '#\n#Mon\nformat=pdf\n'),
  ('s','clean','ops','it''s (done)','com.shop.CleanJob','1','0','0','0',NULL);
/*!40000 ALTER TABLE `QRTZ_TRIGGERS` DISABLE KEYS */;
INSERT INTO QRTZ_TRIGGERS (SCHED_NAME,TRIGGER_NAME,TRIGGER_GROUP,JOB_NAME,JOB_GROUP,NEXT_FIRE_TIME,PRIORITY,TRIGGER_STATE,TRIGGER_TYPE,START_TIME,END_TIME,CALENDAR_NAME,MISFIRE_INSTR) VALUES
  ('s','nightly','DEFAULT','report','DEFAULT',1767225600000,5,'WAITING','CRON',1700000000000,0,NULL,2),
  ('s','hourly','DEFAULT','report','DEFAULT',1767225600000,7,'PAUSED','CRON',1700000000000,0,'holidays',-1),
  ('s','pace','ops','clean','ops',1767225600000,5,'WAITING','SIMPLE',1700000000000,0,NULL,0),
  ('s','once','ops','clean','ops',1767225600000,5,'WAITING','SIMPLE',1790000000000,0,NULL,0),
  ('s','month','ops','clean','ops',1767225600000,5,'WAITING','CAL_INT',1790000000000,0,NULL,0);
INSERT INTO QRTZ_CRON_TRIGGERS (SCHED_NAME,TRIGGER_NAME,TRIGGER_GROUP,CRON_EXPRESSION,TIME_ZONE_ID) VALUES
  ('s','nightly','DEFAULT','0 30 2 * * ?','Europe/Berlin'),('s','hourly','DEFAULT','0 0 * * * ?','America/New_York');
INSERT INTO QRTZ_SIMPLE_TRIGGERS (SCHED_NAME,TRIGGER_NAME,TRIGGER_GROUP,REPEAT_COUNT,REPEAT_INTERVAL,TIMES_TRIGGERED) VALUES
  ('s','pace','ops',-1,90000,7),('s','once','ops',2,60000,0);
";

#[test]
fn triggers_of_quartz_become_jobs_and_each_difference_of_time_is_explained() {
    let (yaml, report) = import(&["quartz"], QUARTZ);
    has(
        &yaml,
        &[
            "- name: nightly\n    handler: com.shop.ReportJob\n    trigger:\n      cron: 0 30 2 * * ?\n      zone: Europe/Berlin\n",
            "params:\n      format: pdf\n",
            "policy: none",
            "- name: ops.pace\n    handler: com.shop.CleanJob\n    trigger:\n      every: 1m30s\n      phase: 2023-11-14T22:13:20Z\n",
            "at:\n        - 2026-09-21T14:13:20Z\n        - 2026-09-21T14:14:20Z\n        - 2026-09-21T14:15:20Z\n",
            "at_most_once: true",
            "priority: 2",
            "enabled: false",
        ],
    );
    has(
        &report,
        &[
            "4 jobs imported, 1 not; fire times after 2026-01-01T00:00:00Z are compared",
            "not imported: trigger ops.month: trigger_type CAL_INT has no counterpart",
            "mapped: misfire DO_NOTHING -> catch_up none",
            "LOST: calendar holidays is a serialised Java object: its days are not excluded",
            "only FastJob fires at 2026-03-29T01:00:00Z",
            "the clock goes forward: Quartz drops what falls into the gap, FastJob fires once after it",
            "the clock goes back: Quartz fires in the second pass alone; FastJob in the first, and an interval in both",
        ],
    );
}

const XXL_JOB: &str = r"
INSERT INTO `xxl_job_info` (`id`, `job_group`, `job_desc`, `author`, `alarm_email`, `schedule_type`, `schedule_conf`, `misfire_strategy`, `executor_route_strategy`, `executor_handler`, `executor_param`, `executor_block_strategy`, `executor_timeout`, `executor_fail_retry_count`, `glue_type`, `child_jobid`, `trigger_status`, `trigger_last_time`, `trigger_next_time`) VALUES
 (1, 1, '每日报表', 'XXL', '', 'CRON', '0 0 3 * * ?', 'DO_NOTHING', 'ROUND', 'reportHandler', 'a=1', 'DISCARD_LATER', 30, 3, 'BEAN', '', 1, 0, 1767243600000),
 (2, 1, 'poll', 'XXL', 'a@b.c', 'FIX_RATE', '30', 'FIRE_ONCE_NOW', 'SHARDING_BROADCAST', 'pollHandler', '', 'DISCARD_LATER', 0, 0, 'BEAN', '3', 0, 0, 1767225610000),
 (3, 1, 'script', 'XXL', '', 'CRON', '0 0 3 * * ?', 'DO_NOTHING', 'FIRST', '', '', 'DISCARD_LATER', 0, 0, 'GLUE_SHELL', '', 1, 0, 0),
 (4, 2, 'poll', 'XXL', '', 'NONE', '', 'DO_NOTHING', 'FIRST', 'pollHandler', '', 'DISCARD_LATER', 0, 0, 'BEAN', '', 0, 0, 0);
";

#[test]
fn jobs_of_xxl_job_keep_their_strategies() {
    let (yaml, report) = import(&["xxl-job", "--zone", "Asia/Shanghai"], XXL_JOB);
    has(
        &yaml,
        &[
            "- name: \"每日报表\"\n    handler: reportHandler\n    trigger:\n      cron: 0 0 3 * * ?\n      zone: Asia/Shanghai\n    params_text: a=1\n",
            "retry:\n      retries: 3\n    timeout: 30s\n    routing: round_robin\n",
            "- name: poll\n    handler: pollHandler\n    trigger:\n      every: 30s\n      phase: 2026-01-01T00:00:10Z\n    enabled: false\n",
            "- name: poll-2\n",
        ],
    );
    has(
        &report,
        &[
            "note: jobs of the executors (job_group) 1, 2",
            "not imported: xxl_job_info 3: glue_type GLUE_SHELL is a script kept in the scheduler",
            "times: 1000 of 1000 the same",
            "LOST: route SHARDING_BROADCAST",
            "LOST: child_jobid 3",
            "LOST: alarm_email",
            "mapped: misfire FIRE_ONCE_NOW -> catch_up latest",
        ],
    );
    let (yaml, _) = import(&["xxl-job", "--group", "2"], XXL_JOB);
    assert_eq!(yaml.matches("- name:").count(), 1, "{yaml}");
}

#[test]
fn jobs_of_powerjob_come_from_its_rows_or_its_api() {
    let rows = r#"[
      {"id": 1, "job_name": "report", "app_id": 1, "job_params": "{\"a\":1}", "time_expression_type": 2,
       "time_expression": "0 30 1 * * ?", "execute_type": 1, "processor_info": "com.shop.Report", "max_instance_num": 0,
       "instance_time_limit": 60000, "instance_retry_num": 2, "status": 1},
      {"id": 2, "jobName": "pace", "appId": 1, "timeExpressionType": 3, "timeExpression": "5000", "executeType": 2,
       "processorInfo": "com.shop.Pace", "maxInstanceNum": 1, "status": 2, "nextTriggerTime": 1767225601000},
      {"id": 3, "jobName": "window", "timeExpressionType": 11, "processorInfo": "x",
       "timeExpression": "{\"interval\":20,\"intervalUnit\":\"MINUTES\",\"startTimeOfDay\":\"09:00:00\",\"endTimeOfDay\":\"17:30:00\",\"daysOfWeek\":[1,5]}"},
      {"id": 4, "jobName": "gone", "timeExpressionType": 1, "processorInfo": "x", "status": 99},
      {"id": 5, "jobName": "delay", "timeExpressionType": 4, "timeExpression": "7000", "processorInfo": "x"}]"#;
    let (yaml, report) = import(&["powerjob", "--zone", "Europe/Berlin", "--count", "400"], rows);
    has(
        &yaml,
        &[
            "- name: report\n    handler: com.shop.Report\n    trigger:\n      cron: 0 30 1 * * ?\n      zone: Europe/Berlin\n",
            "params_text: \"{\\\"a\\\":1}\"\n    overlap: allow_all\n",
            "every: 5s\n      phase: 2026-01-01T00:00:01Z\n    enabled: false\n",
            "delay: 7s",
            "daily_window:\n        from: 09:00:00\n        to: 17:30:00\n        every: 20m\n        weekdays: mon,fri\n      zone: Europe/Berlin\n",
        ],
    );
    has(
        &report,
        &["4 jobs imported, 1 not", "it is deleted", "execute_type BROADCAST", "times: 400 of 400 the same"],
    );
}

const CRONTAB: &str = r#"
# nightly things
SHELL=/bin/sh
MAILTO="ops@shop"
30 2 * * * /usr/local/bin/backup.sh --full >/dev/null 2>&1
@hourly cd /srv && ./sync
@reboot /usr/bin/agent
CRON_TZ=America/New_York
30 1-5 * * * mail -s report%Hello%you \% done
5/15 * * * * odd
* * *
"#;

#[test]
fn a_crontab_becomes_jobs_of_a_shell_and_each_difference_of_time_is_explained() {
    let (yaml, report) = import(&["crontab", "--zone", "Europe/Berlin", "--count", "1500"], CRONTAB);
    has(
        &yaml,
        &[
            "- name: backup.sh\n    handler: shell\n    trigger:\n      cron: 30 2 * * *\n      dialect: unix\n      zone: Europe/Berlin\n",
            "env:\n        SHELL: /bin/sh\n",
            "cron: \"@hourly\"",
            "zone: America/New_York\n    params:\n      command: mail -s report\n      env:\n        SHELL: /bin/sh\n      stdin: \"Hello\\nyou % done\"\n",
            "overlap: allow_all",
            "policy: none",
        ],
    );
    has(
        &report,
        &[
            "not imported: line 7: @reboot is no time",
            "not imported: line 11: it has fewer than 5 words",
            "MAILTO: a job's output is not sent by mail",
            "times: 1500 of 1500 the same",
            "the clock goes forward: cron makes up for a time in the gap that FastJob takes for one of an interval",
        ],
    );
    let system = "17 * * * * root cd / && run-parts /etc/cron.hourly\n";
    let (yaml, _) = import(&["crontab", "--with-user", "--handler", "sh"], system);
    has(&yaml, &["handler: sh", "user: root", "command: \"cd / && run-parts /etc/cron.hourly\""]);
}

#[test]
fn a_file_that_is_something_else_is_refused_in_one_line() {
    let cases = [
        ("quartz", "", "holds no row"),
        ("quartz", "SELECT 1;", "holds no row"),
        (
            "xxl-job",
            "INSERT INTO xxl_job_info VALUES (1);",
            "line 1: inserts into xxl_job_info without naming the columns",
        ),
        ("xxl-job", "INSERT INTO t (a, b) VALUES (1);", "line 1: has 1 values for 2 columns of t"),
        ("xxl-job", "INSERT INTO t (a) VALUES ('x", "line 1: has a quote without an end"),
        ("xxl-job", "COPY public.t (a) FROM stdin;\n1\n", "line 1: has COPY instead of INSERT"),
        ("powerjob", "[1]", "holds something that is no row"),
        ("powerjob", "[{\"a\": ", "line 1: is not JSON"),
        ("powerjob", "[{\"a\": 1}]", "holds no job"),
        ("crontab", "# nothing\n", "holds no job"),
    ];
    for (system, text, expected) in cases {
        let command = Line::try_parse_from(["import", system, "file"]).expect("it is a command").import;
        let Err(failure) = command.make(text, NOW) else { panic!("{text:?} is taken") };
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains(expected) && !failure.remedy.is_empty(), "{text:?}: {failure}");
    }
}
