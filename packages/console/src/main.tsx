import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { createRoot } from 'react-dom/client'
import { queries } from './lib/queries.ts'
import { router } from './router.tsx'
import { Speaking } from './words/use-words.tsx'

createRoot(document.getElementById('root')!).render(
  <QueryClientProvider client={queries}>
    <Speaking>
      <RouterProvider router={router} />
    </Speaking>
  </QueryClientProvider>,
)
