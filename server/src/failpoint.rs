//! Named points at which a test kills this process, as a power cut would. In builds with debug assertions or the feature
//! `failpoints` alone, and only if `FASTJOB_FAILPOINT` names one: `name` or `name:n` for the n-th time it is passed.

/// Dies here by SIGKILL if the environment says so.
#[inline]
pub fn failpoint(name: &'static str) {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    armed::pass(name);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    let _ = name;
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct Armed {
        name: String,
        left: AtomicI64,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("FASTJOB_FAILPOINT").ok()?;
        let (name, passes) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Armed { name: name.to_owned(), left: AtomicI64::new(passes.parse().unwrap_or(1)) })
    });

    pub(super) fn pass(name: &'static str) {
        let Some(armed) = ARMED.as_ref() else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("failpoint {name}: killed");
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
