package memberapi

const OrganisationsAtOnce = organisationsAtOnce
