//! Named points at which a test kills this process, as a power cut would, or stops it. In builds with debug assertions or
//! the feature `failpoints` alone, and only if `FASTJOB_FAILPOINT` names one: `name`, `name:n` for the n-th time it is
//! passed, `name:n:pause` for SIGSTOP in place of SIGKILL.

/// Dies or stops here if the environment says so.
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

    use rustix::process::Signal;

    struct Armed {
        name: String,
        left: AtomicI64,
        signal: Signal,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("FASTJOB_FAILPOINT").ok()?;
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_owned();
        let passes = parts.next().and_then(|passes| passes.parse().ok()).unwrap_or(1);
        let signal = if parts.next() == Some("pause") { Signal::STOP } else { Signal::KILL };
        Some(Armed { name, left: AtomicI64::new(passes), signal })
    });

    pub(super) fn pass(name: &'static str) {
        let Some(armed) = ARMED.as_ref() else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("failpoint {name}: {:?}", armed.signal);
            let _ = rustix::process::kill_process(rustix::process::getpid(), armed.signal);
        }
    }
}
