//! What every nvgpu file does with an ioctl before and after its handler, and the argument in between.

use ioctl_defs::{Argument, Request};
use nix::errno::Errno;

use super::Call;
use super::caller::Answer;

/// The largest argument of any nvgpu file.
const LARGEST: usize = 264;

/// What a kind of file accepts at all.
#[derive(Debug)]
pub(super) struct Limits {
    pub magic: u8,
    pub last: u32,
    pub largest: u32,
}

/// The four fields of a request number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub u32);

impl Number {
    pub fn nr(self) -> u32 {
        self.0 & 0xff
    }

    pub fn magic(self) -> u8 {
        (self.0 >> 8) as u8
    }

    pub fn size(self) -> usize {
        (self.0 >> 16 & 0x3fff) as usize
    }

    /// The program passes data in.
    pub fn writes(self) -> bool {
        self.0 >> 30 & 1 != 0
    }

    /// The program wants data back.
    pub fn reads(self) -> bool {
        self.0 >> 31 & 1 != 0
    }
}

/// An ioctl on its way through a handler, with the driver's copy of the argument.
#[derive(Debug)]
pub(super) struct Message {
    number: Number,
    address: u64,
    bytes: [u8; LARGEST],
}

impl Message {
    /// Checks the request against the limits of the file, and only then reads the argument.
    pub fn receive(
        limits: &Limits,
        call: &mut Call<'_>,
        request: u32,
        address: u64,
    ) -> Result<Message, Errno> {
        let number = Number(request);
        if number.magic() != limits.magic
            || number.nr() == 0
            || number.nr() > limits.last
            || number.size() as u64 > u64::from(limits.largest)
        {
            return Err(Errno::EINVAL);
        }
        let mut message = Message { number, address, bytes: [0; LARGEST] };
        if number.writes() {
            call.caller.read(address, &mut message.bytes[..number.size()])?;
        }
        Ok(message)
    }

    /// The whole request number: a right `nr` with a wrong size is a different request.
    pub fn request(&self) -> u32 {
        self.number.0
    }

    pub fn get<A: Argument>(&self, _request: Request<A>) -> A {
        let (args, _) = A::read_from_prefix(&self.bytes).expect("no argument exceeds the buffer");
        args
    }

    pub fn put<A: Argument>(&mut self, args: &A) {
        self.bytes[..size_of::<A>()].copy_from_slice(args.as_bytes());
    }

    /// Copies the argument back after success, as ctrl, TSG and channel files do it.
    ///
    /// Where that fails, the driver returns how many bytes are missing, which looks like success.
    pub fn finish(
        &self,
        call: &mut Call<'_>,
        answer: Answer,
        warnings: &mut Vec<String>,
    ) -> Answer {
        if !(answer == Ok(0) && self.number.reads()) {
            return answer;
        }
        let size = self.number.size();
        if call.caller.write(self.address, &self.bytes[..size]).is_err() {
            warnings.push(format!(
                "the result of ioctl {:#010x} could not be copied to {:#x}: the driver returns {size}, which is no error",
                self.number.0, self.address
            ));
            return Ok(size as i32);
        }
        answer
    }

    /// The same for address spaces, whose requests all read back: they report EFAULT; with `always`, after
    /// failure too.
    pub fn finish_space(&self, call: &mut Call<'_>, answer: Answer, always: bool) -> Answer {
        if answer == Ok(0) || always {
            call.caller.write(self.address, &self.bytes[..self.number.size()])?;
        }
        answer
    }
}

/// Picks the handler by the whole request number; none is ENOTTY.
macro_rules! answer {
    ($nodes:expr, $message:expr, { $($request:path => |$args:ident| $handler:expr,)* }) => {
        match $message.request() {
            $(number if number == $request.number() => {
                #[allow(unused_mut)]
                let mut $args = $message.get($request);
                let answer: $crate::nodes::Answer = $handler;
                $message.put(&$args);
                answer
            })*
            request => $nodes.unanswered(request),
        }
    };
}
pub(super) use answer;
