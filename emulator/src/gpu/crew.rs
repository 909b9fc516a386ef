//! The threads that run a grid together.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

type Work<'a> = &'a (dyn Fn() + Sync);

/// The caller's thread and some more. These are started when they are first needed, and kept: to start one
/// for each slice of a grid took as long as the slice when there were many, and each keeps register files for
/// the blocks that it runs next.
pub(super) struct Crew {
    size: NonZero<usize>,
    helpers: Vec<Helper>,
}

/// A thread that waits for work. It ends when this is dropped.
struct Helper {
    begin: Sender<Work<'static>>,
    /// Says of each work that it has ended, and how.
    ended: Receiver<thread::Result<()>>,
}

impl Crew {
    /// A crew of so many, the caller's thread among them.
    pub(super) fn new(size: NonZero<usize>) -> Crew {
        Crew { size, helpers: Vec::new() }
    }

    /// As many as the machine has processors.
    pub(super) fn of_all_processors() -> Crew {
        Crew::new(thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
    }

    pub(super) fn size(&self) -> usize {
        self.size.get()
    }

    /// Does the same work on some threads at once, this one among them; on fewer where there are none to be had.
    pub(super) fn run(&mut self, threads: usize, work: Work) {
        let wanted = threads.min(self.size()) - 1;
        while self.helpers.len() < wanted {
            let Ok(helper) = Helper::start() else { break };
            self.helpers.push(helper);
        }
        // SAFETY: whoever gets it has done with it when the loop below has heard so, or when it has died; and
        // nothing unwinds before that.
        let lent = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        let helpers = self.helpers.iter().take(wanted);
        let begun: Vec<&Helper> =
            helpers.filter(|helper| helper.begin.send(lent).is_ok()).collect();
        let mut outcome = catch_unwind(AssertUnwindSafe(work));
        for helper in begun {
            outcome = outcome.and(helper.ended.recv().unwrap_or(Ok(())));
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }
}

impl Helper {
    fn start() -> std::io::Result<Helper> {
        let ((begin, orders), (report, ended)) = (channel::<Work>(), channel());
        let serve = move || {
            for work in orders {
                if report.send(catch_unwind(AssertUnwindSafe(work))).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("orin-gpu".into()).spawn(serve)?;
        Ok(Helper { begin, ended })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn crew(size: usize) -> Crew {
        Crew::new(NonZero::new(size).unwrap())
    }

    #[test]
    fn everybody_works_once_each_time() {
        let mut crew = crew(4);
        for threads in [1, 4, 2, 4, 9] {
            let count = AtomicU32::new(0);
            crew.run(threads, &|| _ = count.fetch_add(1, Relaxed));
            assert_eq!(count.into_inner(), threads.min(4) as u32);
        }
    }

    #[test]
    fn a_panic_comes_back_after_all_have_ended() {
        let mut crew = crew(3);
        for _ in 0..2 {
            let (first, ended) = (AtomicU32::new(0), AtomicU32::new(0));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                crew.run(3, &|| {
                    if first.fetch_add(1, Relaxed) == 0 {
                        panic!("one of three");
                    }
                    thread::sleep(std::time::Duration::from_millis(5));
                    ended.fetch_add(1, Relaxed);
                });
            }));
            assert!(panicked.is_err());
            assert_eq!(ended.into_inner(), 2);
        }
    }
}
