//! Faults on request, so that a program's error paths can be tried out.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

/// One fault, and at which occurrence of its cause it strikes (counted from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The n-th call of this name (`open`, or an ioctl by the name its header gives it) fails.
    Call {
        /// `open` or the ioctl's name.
        name: String,
        /// Which call.
        nth: u32,
        /// What it fails with.
        errno: Errno,
    },
    /// The n-th channel that is set up never executes anything.
    HangChannel(u32),
    /// No error notifier is ever written.
    LoseNotifier,
    /// The n-th allocation of memory behind an nvmap handle finds none left.
    Allocation(u32),
}

impl FromStr for Fault {
    type Err = String;

    /// `NAME@N=ERRNO` (one call), `hang-channel@N`, `lose-notifier` or `alloc@N`.
    fn from_str(text: &str) -> Result<Fault, String> {
        let nth =
            |number: &str| {
                number.parse().ok().filter(|nth| *nth > 0).ok_or_else(|| {
                    format!("fault `{text}`: `{number}` is not a count from 1 upwards")
                })
            };
        if text == "lose-notifier" {
            return Ok(Fault::LoseNotifier);
        }
        match (text.split_once('@'), text.split_once('=')) {
            (Some(("hang-channel", number)), None) => Ok(Fault::HangChannel(nth(number)?)),
            (Some(("alloc", number)), None) => Ok(Fault::Allocation(nth(number)?)),
            (Some((name, rest)), Some((_, errno))) => {
                let number = rest.strip_suffix(errno).and_then(|rest| rest.strip_suffix('='));
                let nth = nth(number.unwrap_or(rest))?;
                if name != "open" && !ioctl_defs::requests().any(|request| request.name == name) {
                    return Err(format!("fault `{text}`: no ioctl is called `{name}`"));
                }
                let errno = errno_named(errno).ok_or_else(|| {
                    format!("fault `{text}`: `{errno}` is not an error name such as ENOMEM")
                })?;
                Ok(Fault::Call { name: name.to_owned(), nth, errno })
            }
            _ => Err(format!(
                "fault `{text}` is unknown: write NAME@N=ERRNO, hang-channel@N, lose-notifier or alloc@N"
            )),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Call { name, nth, errno } => write!(f, "{name}@{nth}={errno:?}"),
            Fault::HangChannel(nth) => write!(f, "hang-channel@{nth}"),
            Fault::LoseNotifier => f.write_str("lose-notifier"),
            Fault::Allocation(nth) => write!(f, "alloc@{nth}"),
        }
    }
}

/// Linux numbers its errors from 1 without large holes; their names come from nix.
fn errno_named(name: &str) -> Option<Errno> {
    (1..134).map(Errno::from_raw).find(|errno| format!("{errno:?}") == name)
}

/// A set of faults and how far each has counted. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Injector {
    pending: Arc<Mutex<Vec<(Fault, u32)>>>,
}

impl Injector {
    /// These faults.
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Injector {
        let pending = faults.into_iter().map(|fault| (fault, 0)).collect();
        Injector { pending: Arc::new(Mutex::new(pending)) }
    }

    /// Adds a fault; it counts from now on.
    pub fn add(&self, fault: Fault) {
        self.lock().push((fault, 0));
    }

    /// Counts a call; the error it must fail with.
    pub(crate) fn call(&self, called: &str) -> Option<Errno> {
        self.count(|fault| match fault {
            Fault::Call { name, nth, errno } if name == called => Some((*nth, *errno)),
            _ => None,
        })
    }

    /// Counts a channel that is set up; whether it hangs.
    pub(crate) fn hangs_channel(&self) -> bool {
        self.count(|fault| match fault {
            Fault::HangChannel(nth) => Some((*nth, ())),
            _ => None,
        })
        .is_some()
    }

    /// Counts an allocation; whether it fails.
    pub(crate) fn fails_allocation(&self) -> bool {
        self.count(|fault| match fault {
            Fault::Allocation(nth) => Some((*nth, ())),
            _ => None,
        })
        .is_some()
    }

    /// Whether error notifiers get lost.
    pub(crate) fn loses_notifiers(&self) -> bool {
        self.lock().iter().any(|(fault, _)| *fault == Fault::LoseNotifier)
    }

    /// Counts an occurrence for each fault that `matching` recognises, and returns what the one
    /// whose turn it is carries.
    fn count<T>(&self, matching: impl Fn(&Fault) -> Option<(u32, T)>) -> Option<T> {
        let mut struck = None;
        for (fault, seen) in self.lock().iter_mut() {
            if let Some((nth, effect)) = matching(fault) {
                *seen += 1;
                if *seen == nth {
                    struck = Some(effect);
                }
            }
        }
        struck
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Fault, u32)>> {
        // Counting cannot panic half way, so a poisoned lock still holds a consistent list.
        self.pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Faults in text form, separated by commas.
impl FromStr for Injector {
    type Err = String;

    fn from_str(text: &str) -> Result<Injector, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Injector::new(parts.map(Fault::from_str).collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_written() {
        let all = [
            "NVGPU_GPU_IOCTL_ALLOC_AS@2=ENOMEM",
            "open@1=ENODEV",
            "hang-channel@1",
            "lose-notifier",
            "alloc@3",
        ];
        for text in all {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn unknown_text_gets_one_sentence_that_names_it() {
        let cases = [
            (
                "NVGPU_GPU_IOCTL_ALLOC_ASS@2=ENOMEM",
                "no ioctl is called `NVGPU_GPU_IOCTL_ALLOC_ASS`",
            ),
            ("open@1=ENOMEN", "`ENOMEN` is not an error name"),
            ("open@0=ENODEV", "`0` is not a count"),
            ("hang-channel@x", "`x` is not a count"),
            ("hang-chanel@1", "write NAME@N=ERRNO"),
            ("nonsense", "write NAME@N=ERRNO"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.contains(text) && error.contains(part), "{error}");
        }
        assert!("alloc@1, bogus".parse::<Injector>().is_err());
    }

    #[test]
    fn a_fault_strikes_once_and_clones_share_the_count() {
        let inject: Injector = "open@2=EBUSY, alloc@1".parse().unwrap();
        let other = inject.clone();
        assert_eq!(inject.call("open"), None);
        assert_eq!(other.call("close"), None);
        assert_eq!(other.call("open"), Some(Errno::EBUSY));
        assert_eq!(inject.call("open"), None);
        assert!(inject.fails_allocation());
        assert!(!inject.fails_allocation());
        assert!(!inject.hangs_channel() && !inject.loses_notifiers());
    }
}
