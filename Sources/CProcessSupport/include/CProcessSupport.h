#ifndef C_PROCESS_SUPPORT_H
#define C_PROCESS_SUPPORT_H

#endif
