package train

import (
	"hdas/configs"
	"hdas/torch/optim"
)

// Rate returns the learning rate of every epoch, from 0.
func Rate(c configs.TrainSection) optim.Schedule {
	var s optim.Schedule
	switch c.Schedule {
	case configs.LinearSchedule:
		s = optim.Linear(c.LR, c.MinLR, c.Epochs)
	case configs.StepSchedule:
		s = optim.Step(c.LR, c.StepFactor, c.StepEvery)
	default:
		s = optim.Cosine(c.LR, c.MinLR, c.Epochs)
	}
	if c.Warmup > 0 {
		s = optim.Warmup(s, c.Warmup, c.WarmupFrom)
	}
	return s
}
