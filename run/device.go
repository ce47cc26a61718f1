package run

import (
	"os"

	"hdas/torch"
)

// Device returns the device with the given name, as torch.ParseDevice does. In tests, the environment variable
// HDAS_TEST_DEVICE says which device "auto" is.
func Device(name string) (torch.Device, error) {
	if asked := os.Getenv("HDAS_TEST_DEVICE"); name == "auto" && asked != "" {
		name = asked
	}
	return torch.ParseDevice(name)
}
