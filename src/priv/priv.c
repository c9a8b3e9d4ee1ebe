#include "priv/priv.h"

#include <unistd.h>

#include "priv/caps.h"

int priv_ask(struct priv *priv, enum priv_op op)
{
	if (!priv->answers[op].known) {
		priv->answers[op].result = priv_rule(op)->probe();
		priv->answers[op].known = true;
	}
	return priv->answers[op].result;
}

enum level priv_level(struct priv *priv)
{
	/* map_files asks for a capability in the initial namespace, where alone root is root. */
	if (geteuid() == 0 && priv_has_permitted(CAP_SYS_ADMIN) &&
	    priv_may(priv, PRIV_MAP_FILES_OPEN))
		return LEVEL_ROOT;
	if (priv_may(priv, PRIV_EXACT_PID))
		return LEVEL_CAP;
	return priv_may(priv, PRIV_USER_NAMESPACE) ? LEVEL_USERNS : LEVEL_NONE;
}

bool priv_can(enum priv_op op)
{
	return priv_rule(op)->probe() == 0;
}

bool priv_owns(uid_t owner)
{
	return owner == geteuid();
}
