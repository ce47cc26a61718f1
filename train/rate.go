package train

import (
	"hdas/configs"
	"hdas/torch/optim/schedule"
)

// Rate returns the learning rate as a function of the epoch, counted from 0.
func Rate(c configs.TrainSection) schedule.Schedule {
	var s schedule.Schedule
	switch c.Schedule {
	case configs.LinearSchedule:
		s = schedule.Linear(c.LR, c.MinLR, c.Epochs)
	case configs.StepSchedule:
		s = schedule.Step(c.LR, c.StepFactor, c.StepEvery)
	default:
		s = schedule.Cosine(c.LR, c.MinLR, c.Epochs)
	}
	if c.Warmup > 0 {
		s = schedule.Warmup(s, c.Warmup, c.WarmupFrom)
	}
	return s
}
