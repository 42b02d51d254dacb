# The devices of libqemu-system-aarch64.

CONFIG_ARM_VIRT=y

CONFIG_TPM_TIS_SYSBUS=y
