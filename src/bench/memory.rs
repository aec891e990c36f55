//! The most memory that this process had, as Linux tells it.

use std::fs;

/// Lets the peak begin anew at what the process has now. Where the system has no such thing,
/// nothing happens.
pub(super) fn forget_peak() {
    // "5" resets the peak (proc_pid_clear_refs(5)). Where it can't be written, the peak is that
    // of the process's whole life, which is no less.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak of resident memory in MB (10⁶ bytes), where the system tells.
pub fn peak_memory_mb() -> Option<f64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status() {
        let status = "Name:\tumbel\nVmPeak:\t  900 kB\nVmHWM:\t   125000 kB\nVmRSS:\t  7 kB\n";
        assert_eq!(peak_of(status), Some(128.0));
        for unreadable in ["", "VmHWM: many kB", "VmHWM: 3 MB"] {
            assert_eq!(peak_of(unreadable), None);
        }
    }
}
