//! What the proxy has used, as the kernel counts it.

use std::fs;

/// The processes that are the proxy.
#[derive(Clone)]
pub(crate) struct Charged {
    pids: Vec<u32>,
}

impl Charged {
    pub(crate) fn new(pids: &[u32]) -> Self {
        Self { pids: pids.to_vec() }
    }

    /// Nanoseconds of CPU so far, user and kernel, of all threads that still live.
    ///
    /// `schedstat` counts in nanoseconds where `stat` counts in ticks of ten milliseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let threads = self.pids.iter().flat_map(|pid| {
            fs::read_dir(format!("/proc/{pid}/task")).expect("the proxy must still run")
        });
        threads
            // A thread may end between the listing and the reading; a pool's helper does.
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
            .map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Bytes of memory resident now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let resident = self.pids.iter().map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.unwrap_or("0 kB").trim().trim_end_matches(" kB");
            kilobytes.parse::<u64>().unwrap() * 1024
        });
        resident.sum()
    }
}
