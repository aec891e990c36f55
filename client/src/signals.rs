//! Being asked to stop.

use std::io;

/// Calls `stop` in a thread of its own when the process is asked to end: by SIGTERM or SIGINT,
/// or from the keyboard.
///
/// # Errors
/// What the system says where signals can't be heeded.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("umbel-signals".into())
        .spawn(move || {
            if runtime.block_on(asked()).is_ok() {
                drop(runtime);
                stop();
            }
        })?;
    Ok(())
}

#[cfg(unix)]
async fn asked() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn asked() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
