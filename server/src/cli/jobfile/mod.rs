//! Jobs as code: files of jobs in YAML, read as a whole and written. Nothing here speaks to a server.

mod fault;
mod fields;
mod params;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod tree;
mod words;
mod write;

use std::collections::{BTreeSet, HashMap};

use fastjob_core::clock::Millis;
use fastjob_core::domain::Refusal;
use fastjob_core::protocol::{job, v1};
use fastjob_core::shard::JobPut;

pub(super) use fault::{Fault, Place, failure};
pub(super) use schema::schema;
pub(super) use tree::MAX_FILE_BYTES;
pub(super) use words::{CATCH_UPS, OVERLAPS};

use fields::{Field, Fields, Kind};
use tree::{Node, Value};

/// The version of the form that is read and written.
pub(super) const VERSION: u64 = 1;
/// The most jobs of all files together.
pub(super) const MAX_JOBS: usize = 10_000;
const VERSION_REMEDY: &str = "begin the file with `fastjob: 1`";

const FILE: &[Field] = &[
    Field { name: "fastjob", kind: Kind::Whole { least: 1, most: 1 }, about: "The version of this form: 1." },
    Field { name: "app", kind: Kind::Text, about: "The app that the jobs are for: no other one takes them." },
    Field { name: "jobs", kind: Kind::Fields(shape::JOB), about: "The jobs, each name once." },
];

/// A text that may hold jobs.
pub(super) struct Source {
    /// As people know it.
    pub(super) file: String,
    pub(super) bytes: Vec<u8>,
}

/// A job of a file; it is within its bounds.
pub(super) struct FileJob {
    pub(super) put: JobPut,
    pub(super) spec: v1::JobSpec,
    /// As `jobs[3]`.
    path: String,
    file: String,
    node: Node,
}

impl FileJob {
    /// What a server, or its rules, has against this job.
    pub(super) fn fault(&self, refusal: &Refusal) -> Fault {
        fault_of(&self.node, &self.path, refusal).in_file(&self.file)
    }
}

/// Reads every job of every file. `app` is the one they are for.
///
/// # Errors
/// Everything that is wrong, of all files.
pub(super) fn read(sources: &[Source], app: Option<&str>, now: Millis) -> Result<Vec<FileJob>, Vec<Fault>> {
    let (mut jobs, mut faults) = (Vec::new(), Vec::new());
    for source in sources {
        let mut found = Vec::new();
        match text(source).and_then(tree::read) {
            Ok(root) => jobs.extend(jobs_of(&root, &source.file, app, now, &mut found)),
            Err(fault) => found.push(fault),
        }
        faults.extend(found.into_iter().map(|fault| fault.in_file(&source.file)));
    }
    if jobs.len() > MAX_JOBS {
        faults.push(too_many(jobs.len()).in_file("jobs"));
    }
    faults.extend(named_twice(&jobs));
    if faults.is_empty() { Ok(jobs) } else { Err(faults) }
}

/// Jobs as a file. Read again, it is the same jobs.
pub(super) fn write<'a>(specs: impl Iterator<Item = &'a v1::JobSpec>) -> String {
    let jobs = Node::list(specs.map(shape::write).collect());
    write::text(&Node::fields(vec![("fastjob", Node::plain(VERSION)), ("jobs", jobs)]))
}

/// What a job says of itself, field by field: the name as in the file, and the value as there.
pub(super) fn values(spec: &v1::JobSpec) -> Vec<(String, String)> {
    let mut values = Vec::new();
    flatten(&shape::write(spec), String::new(), &mut values);
    values
}

fn flatten(node: &Node, path: String, to: &mut Vec<(String, String)>) {
    match &node.value {
        Value::Scalar { text, quoted } => to.push((path, write::scalar(text, *quoted))),
        Value::Fields(fields) if !fields.is_empty() => {
            for (key, node) in fields {
                let name = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
                flatten(node, name, to);
            }
        }
        Value::List(nodes) if !nodes.is_empty() => {
            for (index, node) in nodes.iter().enumerate() {
                flatten(node, format!("{path}[{index}]"), to);
            }
        }
        Value::Fields(_) => to.push((path, "{}".to_owned())),
        Value::List(_) => to.push((path, "[]".to_owned())),
    }
}

fn text(source: &Source) -> Result<&str, Fault> {
    let first = Place { line: 1, column: 1 };
    if source.bytes.len() > MAX_FILE_BYTES {
        let message = format!("is larger than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(Fault::at(first, message).remedy("make several files of it"));
    }
    std::str::from_utf8(&source.bytes).map_err(|error| {
        let good = &source.bytes[..error.valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Fault::at(Place { line, column }, "is not UTF-8 from here on").remedy("save the file as UTF-8")
    })
}

fn jobs_of(root: &Node, file: &str, app: Option<&str>, now: Millis, faults: &mut Vec<Fault>) -> Vec<FileJob> {
    let nothing = BTreeSet::new();
    let Some(mut of) = Fields::of(root, String::new(), FILE, faults, &nothing) else { return Vec::new() };
    let version = if of.has("fastjob") { of.text("fastjob") } else { None };
    match version.as_deref() {
        Some("1") => {}
        Some(other) => {
            let message = format!("is {:?}, and this command reads version 1", fault::shortened(other, 20));
            of.note("fastjob", message, "write `fastjob: 1`, or use a command of that version");
        }
        None => of.note("fastjob", "is missing", VERSION_REMEDY),
    }
    if let (Some(given), Some(app)) = (of.text("app"), app)
        && given != app
    {
        let message = format!("is {given:?}, and the command is for {app:?}");
        of.note("app", message, format!("give --app {given}, or another file"));
    }
    let jobs = match of.get("jobs").map(|node| &node.value) {
        Some(Value::List(jobs)) => jobs.as_slice(),
        Some(_) => {
            of.note("jobs", "is no list", "begin each job with `- name: …`");
            &[]
        }
        None if of.has("jobs") || root_has(root, "jobs") => &[],
        None => {
            of.note("jobs", "is missing", "list the jobs under `jobs:`; `jobs: []` for none");
            &[]
        }
    };
    let faults = of.faults();
    if jobs.len() > MAX_JOBS {
        faults.push(too_many(jobs.len()));
        return Vec::new();
    }
    let one = |(index, node)| job(node, &format!("jobs[{index}]"), file, now, faults);
    jobs.iter().enumerate().filter_map(one).collect()
}

fn root_has(root: &Node, name: &str) -> bool {
    matches!(&root.value, Value::Fields(fields) if fields.iter().any(|(key, _)| key.text == name))
}

/// Reads a job, and notes everything that is wrong with it: what was found wrong is passed over, and the rest looked at.
fn job(node: &Node, path: &str, file: &str, now: Millis, faults: &mut Vec<Fault>) -> Option<FileJob> {
    let mut without = BTreeSet::new();
    let mut found = Vec::new();
    let Some(mut fields) = Fields::of(node, path.to_owned(), shape::JOB, &mut found, &without) else {
        faults.append(&mut found);
        return None;
    };
    let mut spec = shape::read(&mut fields);
    let mut is_sound = found.is_empty();
    without.extend(found.iter().map(|fault| field_of(&fault.field)));
    faults.append(&mut found);
    loop {
        if !is_sound {
            let mut known = Vec::new();
            let mut fields = Fields::of(node, path.to_owned(), shape::JOB, &mut known, &without)?;
            spec = shape::read(&mut fields);
            for (field, name) in [("name", &mut spec.name), ("handler", &mut spec.handler)] {
                if !fields.has(field) {
                    "unnamed".clone_into(name);
                }
            }
        }
        match job::put(spec.clone(), now) {
            Ok(put) => {
                let (path, file, node) = (path.to_owned(), file.to_owned(), node.clone());
                return is_sound.then_some(FileJob { put, spec, path, file, node });
            }
            Err(refusal) => {
                let fault = fault_of(node, path, &refusal);
                let field = field_of(&fault.field);
                faults.push(fault);
                is_sound = false;
                if !without.insert(field) {
                    return None;
                }
            }
        }
    }
}

/// The field that is passed over for a fault: a list as a whole.
fn field_of(path: &str) -> String {
    match path.rsplit_once('[') {
        Some((list, rest)) if rest.ends_with(']') && list.contains('.') => list.to_owned(),
        _ => path.to_owned(),
    }
}

fn fault_of(node: &Node, path: &str, refusal: &Refusal) -> Fault {
    let field = shape::yaml_path(&refusal.field);
    let at = locate(node, &field).unwrap_or(node.at);
    let path = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
    Fault::at(at, &*refusal.message).of(&path).remedy(&*refusal.remedy)
}

/// Where a field stands; where what it belongs to stands, if it is not there itself.
fn locate(node: &Node, field: &str) -> Option<Place> {
    let (mut node, mut at) = (node, None);
    for step in field.split(['.', '[']) {
        node = match &node.value {
            Value::Fields(fields) => &fields.iter().find(|(key, _)| key.text == step)?.1,
            Value::List(nodes) => nodes.get(step.strip_suffix(']')?.parse::<usize>().ok()?)?,
            Value::Scalar { .. } => return at,
        };
        at = Some(node.at);
    }
    at
}

fn too_many(count: usize) -> Fault {
    let message = format!("there are {count} jobs: at most {MAX_JOBS} are taken at a time");
    Fault::at(Place::NOWHERE, message).remedy("give fewer at a time")
}

fn named_twice(jobs: &[FileJob]) -> Vec<Fault> {
    let mut first = HashMap::with_capacity(jobs.len());
    let mut faults = Vec::new();
    for job in jobs {
        if let Some(other) = first.insert(&job.put.name, job) {
            let at = locate(&other.node, "name").unwrap_or(other.node.at);
            let message = format!("{:?} stands also in {}:{}", job.put.name, other.file, at.line);
            let at = locate(&job.node, "name").unwrap_or(job.node.at);
            let fault = Fault::at(at, message).of(&format!("{}.name", job.path));
            faults.push(fault.remedy("give each job a name of its own").in_file(&job.file));
        }
    }
    faults
}
