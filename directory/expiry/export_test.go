package expiry

const (
	WarnKeep  = warnKeep
	WarnRetry = warnRetry
)

type EndingJSON = endingJSON
