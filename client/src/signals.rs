//! Being asked to stop.

use std::io;

use tokio::runtime::Runtime;

/// Calls `stop` in a thread of its own when the process is asked to end: by SIGTERM or SIGINT,
/// or from the keyboard. Asking again changes nothing.
///
/// # Errors
/// What the system says where signals can't be heeded.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut stop = Some(stop);
    on_each_stop(move |_| {
        if let Some(stop) = stop.take() {
            stop();
        }
    })
}

/// Calls `heed` in a thread of its own each time that the process is asked to end, with how often
/// it was asked by then.
///
/// # Errors
/// What the system says where signals can't be heeded.
pub fn on_each_stop(mut heed: impl FnMut(u32) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = Signals::listen(&runtime)?;
    std::thread::Builder::new()
        .name("umbel-signals".into())
        .spawn(move || {
            for count in 1.. {
                if runtime.block_on(signals.next()).is_err() {
                    return;
                }
                heed(count);
            }
        })?;
    Ok(())
}

/// SIGTERM and SIGINT.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen(runtime: &Runtime) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let _within = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Ok(())
    }
}

/// An interrupt from the keyboard.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen(_: &Runtime) -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
