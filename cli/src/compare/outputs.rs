//! Before times are compared: do both ways compute the same?

use doorbell::{Buffer, Commands, Launch, Memory, Module, args};

use libcuda::{Address, Cuda};

use super::cuda::{launch, module};
use crate::bench::{Direct, Outcome, SOON, Stop};

/// Elements; not a whole number of blocks.
const N: usize = 100_003;
const BLOCK: u32 = 256;

/// A vector addition and a reduction through shared memory and shuffles, both with rounding.
pub(crate) fn compare(direct: &mut Direct, cuda: &Cuda) -> Outcome<()> {
    let inputs = [1.37f32, -0.0213].map(|factor| {
        let element = |i| (i as f32 * factor).sin() * 1000.0;
        (0..N).map(element).collect::<Vec<f32>>()
    });
    let ours = through_us(direct, &inputs)?;
    let theirs = through_cuda(direct, cuda, &inputs)?;
    let differ = ours.iter().zip(&theirs).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    if differ > 0 || ours.len() != theirs.len() {
        return Err(Stop::Failed(format!(
            "this crate and the CUDA driver compute different things: {differ} of {} numbers",
            ours.len()
        )));
    }
    let expected = inputs[0].iter().zip(&inputs[1]).map(|(a, b)| a + b);
    if !ours.iter().zip(expected).all(|(got, expected)| *got == expected) {
        return Err(Stop::Failed("both ways compute the same wrong sums".to_owned()));
    }
    Ok(())
}

fn blocks() -> u32 {
    (N as u32).div_ceil(BLOCK)
}

fn through_us(direct: &mut Direct, inputs: &[Vec<f32>; 2]) -> Outcome<Vec<f32>> {
    let add = Module::load(&direct.device, direct.cubins.vector)?.kernel("vector_add")?;
    let sum = Module::load(&direct.device, direct.cubins.reduce)?.kernel("sum_shuffle")?;
    let host = |len| direct.device.alloc_in::<f32>(Memory::Host, len);
    let [a, b, out, sums] = [host(N)?, host(N)?, host(N)?, host(blocks() as usize)?];
    let fill = |buffer: &Buffer<f32>, input: &[f32]| buffer.write(0, input);
    fill(&a, &inputs[0])?;
    fill(&b, &inputs[1])?;
    let launch = Launch::new(blocks(), BLOCK);
    // SAFETY: the kernels read and write `N` elements and one sum per block.
    unsafe {
        direct.compute.exec(&add, &launch, &args![&out, &a, &b, N as u32])?;
        direct.compute.exec(&sum, &launch, &args![&sums, &out, N as u32])?;
    }
    direct.compute.submit()?.wait(SOON)?;
    Ok([out.to_vec()?, sums.to_vec()?].concat())
}

fn through_cuda(direct: &Direct, cuda: &Cuda, inputs: &[Vec<f32>; 2]) -> Outcome<Vec<f32>> {
    let add = cuda.function(module(cuda, direct.cubins.vector)?, "vector_add")?;
    let sum = cuda.function(module(cuda, direct.cubins.reduce)?, "sum_shuffle")?;
    let to = |bytes: &[f32]| -> Outcome<Address> {
        let address = cuda.alloc(size_of_val(bytes) as u64)?;
        // SAFETY: both have as many bytes, and nothing runs.
        unsafe { cuda.copy(address, bytes.as_ptr() as Address, size_of_val(bytes)) }?;
        Ok(address)
    };
    let (a, b) = (to(&inputs[0])?, to(&inputs[1])?);
    let mut result = vec![0f32; N + blocks() as usize];
    let out = to(&result)?;
    let sums = out + (N * size_of::<f32>()) as Address;
    launch(cuda, add, blocks(), BLOCK, &mut [out, a, b, N as u64])?;
    launch(cuda, sum, blocks(), BLOCK, &mut [sums, out, N as u64])?;
    cuda.synchronize()?;
    // SAFETY: both have as many bytes, and the kernels have ended; then nothing uses the memory.
    unsafe {
        cuda.copy(result.as_mut_ptr() as Address, out, size_of_val(&result[..]))?;
        [a, b, out].into_iter().try_for_each(|address| cuda.free(address))?;
    }
    Ok(result)
}
