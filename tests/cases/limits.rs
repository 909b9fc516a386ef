use std::collections::BTreeSet;
use std::time::Duration;

use doorbell::{
    Commands, Device, Error, Launch, LaunchSlot, Memory, Result, Slot, Timeline, View, args,
};

use super::SOON;
use super::kernels::module;

pub fn addresses_are_used_again(device: &Device) -> Result<()> {
    const LEN: usize = 64 << 20;
    let mut places = BTreeSet::new();
    for _ in 0..64 {
        let buffer = device.alloc::<u8>(LEN)?;
        assert!(buffer.view().range().end() <= device.info().va.end());
        places.insert(buffer.gpu());
    }
    assert!(places.len() <= 8, "64 buffers, one after the other, were at {places:?}");
    Ok(())
}

pub fn dropped_buffers_outlive_their_commands(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let gate = device.timeline()?;
    let to = device.alloc_in::<u32>(Memory::Host, 256)?;
    queue.wait(&gate, 1)?;
    for i in 0..256 {
        let from = device.alloc_in::<u32>(Memory::Host, 1)?;
        from.set(0, i as u32 + 1)?;
        queue.copy(to.slice(i..i + 1)?, &from)?;
        // `from` goes here, before its command is even submitted.
    }
    let ticket = queue.submit()?.detach();
    let _reuser = device.alloc::<u32>(1024)?;
    gate.set(1);
    ticket.wait(SOON)?;
    let expected: Vec<u32> = (1..=256).collect();
    assert_eq!(to.to_vec()?, expected);
    Ok(())
}

pub fn windows_are_never_handed_out(device: &Device) -> Result<()> {
    let va = device.info().va;
    let mut held = Vec::new();
    for power in 12..=28 {
        let buffer = device.alloc::<u8>(1 << power)?;
        let range = buffer.view().range();
        assert!(range.start() >= va.start() && range.end() <= va.end(), "{range} is outside {va}");
        held.push(buffer);
    }
    for (i, one) in held.iter().enumerate() {
        for other in &held[..i] {
            assert!(!one.view().range().overlaps(other.view().range()));
        }
    }
    Ok(())
}

/// The refusal, and that its sentence holds `words`.
pub fn refused<T>(result: Result<T>, words: &str) {
    match result {
        Err(Error::Request(text)) => assert!(text.contains(words), "{text:?} has no {words:?}"),
        Err(other) => panic!("expected a refusal with {words:?}, got {other}"),
        Ok(_) => panic!("expected a refusal with {words:?}"),
    }
}

pub fn refuse_wrong_slots(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let buffer = device.alloc::<u64>(4)?;
    let mut first = queue.record();
    let mut second = queue.record();
    let slot = first.value_slot(1)?;
    let view = first.view_slot(buffer.slice(0..2)?)?;
    refused(second.write(buffer.slice(0..1)?, slot), "another recording");
    refused(queue.write(buffer.slice(0..1)?, slot), "belongs to a recording");
    first.copy(view, buffer.slice(2..4)?)?;
    let mut recording = first.finish()?;
    refused(recording.set_view(view, buffer.slice(0..1)?), "too short");
    let mut other = second.finish()?;
    refused(other.set_value(slot, 1), "another recording");
    let mut stranger = device.copy_queue()?;
    refused(stranger.replay(&mut recording), "recorded for");
    queue.replay(&mut recording)?.wait(SOON)?;
    Ok(())
}

/// Every verb and every kind of slot, given to a queue and to a recorder that do not have the slot.
/// Nothing is encoded then: what is sent afterwards is what was sent before.
pub fn every_verb_refuses_wrong_slots(device: &Device) -> Result<()> {
    fn refuses<T: Commands>(
        target: &mut T,
        words: &str,
        device: &Device,
        (value, view, timeline, shape): (
            Slot<u64>,
            Slot<View<'static>>,
            Slot<Timeline>,
            LaunchSlot,
        ),
    ) -> Result<()> {
        let kernel = module!(device, "vector")?.kernel("add_one")?;
        let buffer = device.alloc::<u32>(64)?;
        let real = device.timeline()?;
        let launch = Launch::new(1, 64);
        refused(target.wait(timeline, 1), words);
        refused(target.wait(&real, value), words);
        refused(target.signal(timeline, 1), words);
        refused(target.signal(&real, value), words);
        refused(target.copy(view, buffer.slice(0..1)?), words);
        refused(target.copy(buffer.slice(0..1)?, view), words);
        refused(target.write(view, 1), words);
        refused(target.write(buffer.slice(0..2)?, value), words);
        refused(target.wait_bit_set(view, 1), words);
        refused(target.wait_bit_clear(view, 1), words);
        // SAFETY: nothing is launched.
        unsafe {
            refused(target.exec(&kernel, &launch, &args![view, &buffer, 64u32]), words);
            refused(target.exec(&kernel, &launch, &args![&buffer, &buffer, value]), words);
            refused(target.exec(&kernel, shape, &args![&buffer, &buffer, 64u32]), words);
        }
        Ok(())
    }
    let mut queue = device.compute_queue()?;
    let buffer = device.alloc::<u32>(64)?;
    let mut owner = queue.record();
    let slots = (
        owner.value_slot(1)?,
        owner.view_slot(buffer.slice(0..1)?)?,
        owner.timeline_slot(&device.timeline()?)?,
        owner.launch_slot(Launch::new(1, 64))?,
    );
    let mut other = queue.record();
    refuses(&mut queue, "a slot belongs to a recording", device, slots)?;
    refuses(&mut other, "belongs to another recording", device, slots)?;
    let kernel = module!(device, "vector")?.kernel("add_one")?;
    // SAFETY: nothing is launched.
    let after = unsafe { other.exec_after(&kernel, slots.3, &args![&buffer, &buffer, 64u32], &[]) };
    refused(after, "belongs to another recording");
    assert_eq!(
        other.finish()?.words().len(),
        queue.record().finish()?.words().len(),
        "nothing was recorded"
    );
    queue.submit()?.wait(SOON)
}

/// Two devices of one GPU: an address of the one means something else on the other.
pub fn refuse_what_belongs_to_another_device(device: &Device) -> Result<()> {
    fn refuses<T: Commands>(target: &mut T, device: &Device, other: &Device) -> Result<()> {
        let words = "belongs to another `Device`";
        let (own, theirs) = (device.alloc::<u64>(64)?, other.alloc::<u64>(64)?);
        let timeline = other.timeline()?;
        refused(target.wait(&timeline, 1), words);
        refused(target.signal(&timeline, 1), words);
        refused(target.copy(&own, &theirs), words);
        refused(target.copy(&theirs, &own), words);
        refused(target.write(theirs.slice(0..1)?, 1), words);
        let [here, there] = [module!(device, "vector")?, module!(other, "vector")?];
        let (here, there) = (here.kernel("add_one")?, there.kernel("add_one")?);
        let launch = Launch::new(1, 64);
        // SAFETY: nothing is launched.
        unsafe {
            refused(target.exec(&here, &launch, &args![&own, &theirs, 64u32]), words);
            refused(target.exec(&there, &launch, &args![&own, &own, 64u32]), words);
        }
        Ok(())
    }
    let other = Device::open(doorbell::Select::Auto)?;
    let mut queue = device.compute_queue()?;
    refuses(&mut queue, device, &other)?;
    let mut recorder = queue.record();
    refuses(&mut recorder, device, &other)?;
    let (own, theirs) = (device.alloc::<u64>(1)?, other.alloc::<u64>(1)?);
    refused(recorder.view_slot(&theirs), "another `Device`");
    refused(recorder.timeline_slot(&other.timeline()?), "another `Device`");
    let slot = recorder.view_slot(&own)?;
    let mut recording = recorder.finish()?;
    refused(recording.set_view(slot, &theirs), "another `Device`");
    queue.replay(&mut recording)?.wait(SOON)
}

/// By it the queue knows what memory is free again. Waiting for it is what it is there for.
pub fn only_a_queue_raises_its_own_timeline(device: &Device) -> Result<()> {
    let words = "raised by that queue alone";
    let (mut queue, mut other) = (device.compute_queue()?, device.copy_queue()?);
    refused(queue.signal(other.timeline(), 1), words);
    let own = other.timeline().clone();
    refused(other.signal(&own, 1), words);
    let free = device.timeline()?;
    let mut recorder = queue.record();
    refused(recorder.signal(other.timeline(), 1), words);
    let (waited, raised) =
        (recorder.timeline_slot(other.timeline())?, recorder.timeline_slot(&free)?);
    recorder.wait(waited, 0)?.signal(raised, 1)?;
    let mut recording = recorder.finish()?;
    recording.set_timeline(waited, queue.timeline())?;
    refused(recording.set_timeline(raised, other.timeline()), words);
    queue.replay(&mut recording)?.wait(SOON)?;
    assert_eq!(free.value(), 1);
    Ok(())
}

/// Also where the place comes later.
pub fn refuse_places_that_do_not_fit(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let bytes = device.alloc_in::<u8>(Memory::Host, 64)?;
    refused(queue.write(bytes.slice(1..5)?, 1), "not a multiple of 4");
    let mut recorder = queue.record();
    let (word, bit) =
        (recorder.view_slot(bytes.slice(0..8)?)?, recorder.view_slot(bytes.slice(0..4)?)?);
    recorder.write(word, 0x0102_0304_0506_0708)?.wait_bit_set(bit, 8)?;
    let mut recording = recorder.finish()?;
    refused(recording.set_view(word, bytes.slice(20..28)?), "not a multiple of 8");
    refused(recording.set_view(bit, bytes.slice(18..22)?), "not a multiple of 4");
    recording.set_view(word, bytes.slice(16..24)?)?;
    recording.set_view(bit, bytes.slice(16..20)?)?;
    queue.replay(&mut recording)?.wait(SOON)?;
    assert_eq!(bytes.to_vec()?[16..24], [8, 7, 6, 5, 4, 3, 2, 1]);
    let mut recorder = queue.record();
    recorder.in_flight(usize::MAX);
    refused(recorder.finish(), "more than memory can hold");
    Ok(())
}

pub fn buffers_check_their_bounds(device: &Device) -> Result<()> {
    let buffer = device.alloc_in::<u16>(Memory::Host, 10)?;
    assert_eq!((buffer.len(), buffer.is_empty()), (10, false));
    assert!(buffer.get(10).is_err());
    assert!(buffer.set(usize::MAX, 1).is_err());
    assert!(buffer.write(8, &[1, 2, 3]).is_err());
    assert!(buffer.read(usize::MAX, &mut [0; 2]).is_err());
    assert!(buffer.slice(4..11).is_err());
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = buffer.slice(5..4);
    assert!(reversed.is_err());
    assert!(device.alloc::<u64>(usize::MAX).is_err());
    buffer.write(8, &[1, 2])?;
    assert_eq!(buffer.to_vec()?[6..], [0, 0, 1, 2]);
    assert_eq!(buffer.view().len(), 20);
    Ok(())
}

pub fn timeout_names_the_signal(device: &Device) -> Result<()> {
    let timeline = device.timeline()?;
    timeline.set(41);
    let error = timeline.wait(42, Duration::from_millis(30)).expect_err("nobody signals");
    let text = error.to_string();
    assert!(text.contains("42") && text.contains("41") && text.contains("no fault"), "{text}");
    Ok(())
}
