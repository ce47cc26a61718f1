package train

import (
	"hdas/configs"
	"hdas/torch/optim/schedule"
)

// Rate returns the learning rate as a function of the step, counted from 0 over all epochs, each of which has
// the given number of steps.
func Rate(c configs.TrainSection, steps int) schedule.Schedule {
	c.LR, c.MinLR = c.LRFactor()*c.LR, c.LRFactor()*c.MinLR
	unit := 1 // units of the schedule in an epoch
	if c.ScheduleBy == configs.ByStep {
		unit = steps
	}
	s := course(c, unit)
	if c.Warmup > 0 {
		s = schedule.Warmup(s, c.Warmup*unit, c.WarmupFrom)
	}
	rate := func(step int) float64 { return s(step / (steps / unit)) }
	if c.WarmupSteps > 0 {
		rate = schedule.Warmup(rate, c.WarmupSteps, c.WarmupFrom)
	}
	return rate
}

// course returns the schedule without a warm-up, with that number of units in an epoch.
func course(c configs.TrainSection, unit int) schedule.Schedule {
	switch c.Schedule {
	case configs.LinearSchedule:
		return schedule.Linear(c.LR, c.MinLR, c.Epochs*unit)
	case configs.StepSchedule:
		return schedule.Step(c.LR, c.StepFactor, c.StepEvery*unit)
	case configs.MultiStepSchedule:
		milestones := make([]int, len(c.Milestones))
		for i, m := range c.Milestones {
			milestones[i] = m * unit
		}
		return schedule.MultiStep(c.LR, c.StepFactor, milestones)
	}
	return schedule.Cosine(c.LR, c.MinLR, c.Epochs*unit)
}
