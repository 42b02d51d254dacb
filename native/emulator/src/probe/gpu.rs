//! The GPUs that Vulkan reports. Asked in the helper program: drivers of all qualities are loaded for it.

use std::ffi::CStr;

use ash::vk;
use serde::{Deserialize, Serialize};

use super::isolate::Silence;

/// What kind of device Vulkan says it is. Source: `VkPhysicalDeviceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuKind {
    /// Part of the processor's chip.
    Integrated,
    /// A card of its own.
    Discrete,
    /// Of a virtual machine.
    Virtual,
    /// Drawn by the processor: no GPU at all.
    Cpu,
    /// None of these.
    Other,
}

/// A device that Vulkan offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// As its driver calls it.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: GpuKind,
    /// The Vulkan version it speaks, as in `1.3.239`.
    pub vulkan: String,
}

/// What the helper says on its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found(Result<Vec<Gpu>, String>);

/// The devices, or why there are none, in words.
pub(crate) fn understand(answer: Result<Vec<u8>, Silence>) -> Result<Vec<Gpu>, String> {
    let bytes = answer.map_err(|Silence(words)| format!("the Vulkan probe {words}"))?;
    let found: Found =
        serde_json::from_slice(&bytes).map_err(|e| format!("the Vulkan probe was not understood: {e}"))?;
    match found.0 {
        Ok(gpus) if gpus.is_empty() => Err("Vulkan knows of no device".into()),
        other => other,
    }
}

/// Loads Vulkan and asks it.
pub(crate) fn find() -> Found {
    Found(devices())
}

fn devices() -> Result<Vec<Gpu>, String> {
    // SAFETY: runs the loader's constructors; this process is for that.
    let entry = unsafe { ash::Entry::load() }.map_err(|e| format!("there is no Vulkan loader ({e})"))?;
    let app = vk::ApplicationInfo::default().application_name(c"sampan").api_version(vk::API_VERSION_1_0);
    let info = vk::InstanceCreateInfo::default().application_info(&app);
    // SAFETY: the info and what it points to outlive the call.
    let instance = unsafe { entry.create_instance(&info, None) }.map_err(|e| match e {
        vk::Result::ERROR_INCOMPATIBLE_DRIVER => "there is a Vulkan loader, but no driver".to_owned(),
        other => format!("Vulkan does not start: {other}"),
    })?;
    // SAFETY: the instance is alive; the properties are plain data.
    let properties: Vec<_> = unsafe { instance.enumerate_physical_devices() }
        .map_err(|e| format!("Vulkan does not list its devices: {e}"))?
        .into_iter()
        // SAFETY: as above, and the device is one of the instance's.
        .map(|device| unsafe { instance.get_physical_device_properties(device) })
        .collect();
    // SAFETY: nothing of the instance is used any more.
    unsafe { instance.destroy_instance(None) };
    Ok(properties.iter().map(describe).collect())
}

fn describe(properties: &vk::PhysicalDeviceProperties) -> Gpu {
    let name = properties.device_name_as_c_str().map(CStr::to_string_lossy).unwrap_or_default();
    let version = properties.api_version;
    Gpu {
        name: name.into_owned(),
        kind: match properties.device_type {
            vk::PhysicalDeviceType::INTEGRATED_GPU => GpuKind::Integrated,
            vk::PhysicalDeviceType::DISCRETE_GPU => GpuKind::Discrete,
            vk::PhysicalDeviceType::VIRTUAL_GPU => GpuKind::Virtual,
            vk::PhysicalDeviceType::CPU => GpuKind::Cpu,
            _ => GpuKind::Other,
        },
        vulkan: format!(
            "{}.{}.{}",
            vk::api_version_major(version),
            vk::api_version_minor(version),
            vk::api_version_patch(version)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let gpu = Gpu { name: "llvmpipe".into(), kind: GpuKind::Cpu, vulkan: "1.3.239".into() };
        let said = serde_json::to_vec(&Found(Ok(vec![gpu.clone()]))).unwrap();
        assert_eq!(understand(Ok(said)), Ok(vec![gpu]));
        let none = serde_json::to_vec(&Found(Ok(vec![]))).unwrap();
        assert_eq!(understand(Ok(none)), Err("Vulkan knows of no device".into()));
        assert!(understand(Ok(b"Segmentation fault".to_vec())).is_err());
        let died = understand(Err(Silence("died of SIGSEGV".into())));
        assert_eq!(died, Err("the Vulkan probe died of SIGSEGV".into()));
    }
}
